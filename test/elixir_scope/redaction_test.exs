defmodule ElixirScope.RedactionTest do
  # What redact: and ElixirScope.Recordable may say. What is recorded then is in redaction_recording_test.exs.
  use ExUnit.Case, async: true
  doctest ElixirScope.Redaction

  alias ElixirScope.{Cut, Error, Options, OtherVm, Recordable, Redaction, Text}
  alias ElixirScope.Redacted.{Account, Wide}
  alias ElixirScope.Redaction.Views

  describe "redact:" do
    test "has defaults, to which keys are added and from which they are taken" do
      assert {:ok, %{redact: %{keys: keys, patterns: patterns}}} = Options.read([])
      assert "password" in keys and "set_cookie" in keys and "*_token" in patterns

      assert {:ok, %{redact: more}} = Options.read(redact: [keys: [:IBAN, "X-*-Pin"], except: [:cvv, "pwd"]])
      assert more.keys == (keys -- ["cvv", "pwd"]) ++ ["iban"]
      assert more.patterns == patterns ++ ["x_*_pin"]
      assert {:ok, %{redact: nil}} = Options.read(redact: false)

      assert {:ok, %{redact: %{keys: ["iban"], patterns: []}}} =
               Options.read(redact: [defaults: false, keys: [:iban]])
    end

    test "names fields and functions" do
      asked = [fields: [{Account, :mail}], functions: [{Accounts, :verify, 2}], defaults: false]
      assert {:ok, rules} = Redaction.read(asked)

      assert rules == %{
               keys: [],
               patterns: [],
               fields: [{Account, :mail}],
               functions: [{Accounts, :verify, 2}]
             }
    end

    test "that is wrong is refused in words" do
      for {redact, says} <- [
            {:yes,
             ~r/expected :redact to be false or a keyword list such as redact: \[keys: \[:iban\]\], got: :yes/},
            {[key: [:iban]],
             ~r/unknown key of :redact :key \(given: \[:iban\]\); the keys are :keys, :except/},
            {[keys: [1]], ~r/expected keys: of :redact to be a list of atoms and texts .* got: \[1\]/},
            {[keys: [nil]], ~r/got: \[nil\]/},
            {[keys: [""]], ~r/got: \[""\]/},
            {[keys: [:a | :b]], ~r/got: \[:a \| :b\]/},
            {[except: ~c"pwd"], ~r/expected except: of :redact to be a list of atoms and texts/},
            {[except: [:iban]],
             ~r/expected except: of :redact to name some of the defaults \(password, .*got: "iban"/},
            {[except: [:password]],
             ~r/"password" in except: .* still be kept out by "\*password\*" of the defaults/},
            {[except: [:my_token]], ~r/"my_token" in except: .* still be kept out by "\*_token"/},
            {[except: [:token], defaults: false], ~r/except: or defaults: false/},
            {[defaults: :no], ~r/expected defaults: of :redact to be true or false, got: :no/},
            {[fields: [Account]], ~r/expected fields: of :redact to be a list of \{module, field\}/},
            {[functions: [{Accounts, :verify}]],
             ~r/expected functions: of :redact .*got: \[\{Accounts, :verify\}\]/},
            {[functions: [{Accounts, :verify, 256}]], ~r/256/}
          ] do
        assert {:error, %Error{reason: :bad_option, message: message}} = Options.read(redact: redact)
        assert message =~ says
      end

      assert {:ok, _} = Redaction.read(except: [:password, "*password*"])
      assert_raise Error, ~r/unknown key/, fn -> Redaction.secret?(:iban, key: []) end
    end

    test "patterns are texts with stars" do
      secret? = &Redaction.secret?(&1, keys: ["a*b*c", "x-*"], defaults: false)
      assert Enum.all?(["abc", "a1b2c", "AbbcBc", :x_, "x-y"], secret?)
      refute Enum.any?(["ab", "bc", "acb", "abcd", "zabc", :x], secret?)
      refute Redaction.secret?(:password, false)
    end
  end

  describe "the rules of a recording" do
    test "have the views of what is known to be large, and what Recordable says" do
      {:ok, asked} = Redaction.read(fields: [{Wide, :card}])
      assert {:ok, rules} = Redaction.rules(asked)
      assert {Account, :except, [:history, :cache]} in rules.views
      assert {Account, :iban} in rules.fields and {Wide, :card} in rules.fields
      assert {Plug.Conn, :only, fields} = List.keyfind(rules.views, Plug.Conn, 0)
      assert :assigns in fields and :private not in fields
      refute List.keymember?(rules.views, Wide, 0)
      assert Redaction.rules(nil) == {:ok, nil}
    end

    test "are the same where no protocol is consolidated" do
      assert Protocol.consolidated?(Recordable)
      {port, [os_pid | words]} = OtherVm.run("redacted_vm.exs", [])

      assert Enum.join(words, " ") ==
               "consolidated false views except:history,cache secret iban late kept"

      # One that fails may have had a secret to tell.
      assert OtherVm.line(port) ==
               "expected of the implementation of ElixirScope.Recordable for Failing that view/1 and secret/1 answer, got: " <>
                 "** (RuntimeError) who knows; nothing is recorded until it says what is secret"

      assert OtherVm.line(port) == "nothing begins"
      OtherVm.kill(port, os_pid)
    end
  end

  test "what @derive cannot mean is refused when the module is compiled" do
    assert Views.derived!(Wide, %Wide{}, only: [:id], secret: [:card]) == {[only: [:id]], [:card]}
    assert Views.derived!(Wide, %Wide{}, []) == {:all, []}

    for {options, says} <- [
          {[only: [:id], except: [:id]],
           ~r/expected @derive \{ElixirScope.Recordable, only: fields\} or except: fields/},
          {[only: [:nobody]],
           ~r/with fields of .*Wide \(:card, :huge, :id, :kept\), got: \[only: \[:nobody\]\]/},
          {[secrets: [:id]], ~r/got: \[secrets: \[:id\]\]/},
          {[secret: :id], ~r/got: \[secret: :id\]/},
          {[secret: [:__struct__]], ~r/got: \[secret: \[:__struct__\]\]/},
          {:id, ~r/got: :id/}
        ] do
      error = assert_raise ArgumentError, fn -> Views.derived!(Wide, %Wide{}, options) end
      assert error.message =~ says
    end
  end

  describe "what was kept out" do
    @redacted %Cut{kind: :redacted}
    @left_out %Cut{kind: :left_out}

    test "is shown as such" do
      assert inspect(%{password: @redacted}) == "%{password: #Redacted<>}"
      assert inspect([@left_out]) == "[#LeftOut<>]"
    end

    test "of a struct with a view is counted" do
      account = %Account{id: 7, iban: @redacted, history: @left_out, cache: @left_out}

      assert Text.short(account) ==
               "%ElixirScope.Redacted.Account{iban: #Redacted<>, id: 7, mail: nil, 2 left out}"

      assert Text.short([account], width: 60) =~ "2 left out}]"

      assert Text.short(%Wide{id: @left_out, card: @left_out, kept: @left_out, huge: @left_out}) ==
               "%ElixirScope.Redacted.Wide{4 left out}"
    end

    test "does not disturb who is shown beside it" do
      date = %{~D[2026-11-21] | month: @redacted}

      assert Text.short({date, ~D[2026-11-21]}, width: 120) ==
               "{%Date{calendar: Calendar.ISO, day: 21, month: #Redacted<>, year: 2026}, ~D[2026-11-21]}"
    end

    test "may be equal to anything" do
      for cut <- [@redacted, @left_out], other <- ["text", %{}, [], @redacted, %Cut{kind: :map, size: 2}] do
        assert Cut.may_equal?(cut, other) and Cut.may_equal?(%Cut{kind: :binary}, cut)
      end
    end

    test "differs perhaps when it was a secret, and is not looked at when it was left out" do
      old = %{token: %Cut{kind: :redacted}, private: %Cut{kind: :left_out}, count: 1}
      new = %{token: %Cut{kind: :redacted, kept: ""}, private: Map.put(@left_out, :size, nil), count: 2}

      assert [{[:count], :changed, 1, 2}] =
               ElixirScope.Difference.of(Map.delete(old, :token), Map.delete(new, :token)).entries

      fresh = :erlang.binary_to_term(:erlang.term_to_binary(new))
      assert {[:token], :unknown, @redacted, @redacted} in ElixirScope.Difference.of(old, fresh).entries
      refute Enum.any?(ElixirScope.Difference.of(old, fresh).entries, &match?({[:private], _, _, _}, &1))
    end
  end
end
