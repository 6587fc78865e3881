defmodule ElixirScope.RedactionRecordingTest do
  # A program is given secrets in every way in which it may, and then all bytes of its recording are searched for them: those of
  # the rings while it is recorded, those of the store, and what is read from a store that was packed.
  use ExUnit.Case, async: false

  alias ElixirScope.{Chain, Cut, Difference, Error}
  alias ElixirScope.Query.{Replay, Term}
  alias ElixirScope.Redacted.{Account, Keeper, Login, Refused, Session, Wide}

  @moduletag :tmp_dir

  @redact [keys: ["*_pin"], fields: [{Wide, :card}], functions: [{Login, :vault, 2}]]

  setup do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    secrets = :ets.new(:secrets, [:public, :ordered_set])
    %{secrets: secrets}
  end

  # A secret that stands in no source. What it is for is said when it is found.
  defp secret(secrets, what) do
    text = "S" <> Base.encode32(:crypto.strong_rand_bytes(15), padding: false)
    :ets.insert(secrets, {text, what})
    text
  end

  # What must be found, so that the search would find the others.
  defp open, do: "open " <> Base.encode32(:crypto.strong_rand_bytes(15), padding: false)

  # Each runs in a process of its own, so that what it was given stays in no mailbox of the test.
  defp program(secrets) do
    user = open()
    secret = &secret(secrets, &1)

    arguments(user, secret)
    values(user, secret)
    texts(user, secret)
    exceptions(user, secret)
    messages(user, secret)
    server(user, secret)
    sensitive(secret)
    user
  end

  defp arguments(user, secret) do
    {:ok, ^user, _} = Login.login(user, secret.("an argument by its name"))
    {^user, 1} = Login.whole(user, %{password: secret.("a map in an argument")})
    {^user, _} = Login.bearer("Bearer " <> secret.("a part of an argument by its name"), user)
    ^user = Login.tagged({:login, user, secret.("an element of a tuple by its name")})
    {:ok, ^user} = {:ok, elem(hd(Login.vault(user, [secret.("an argument of a function that is named")])), 1)}
    {^user, _} = Login.anonymous(user).(secret.("an argument of an anonymous function"))
  end

  defp values(user, secret) do
    Login.returned(
      user,
      [secret.("an argument in a list")] |> hd() |> then(&%{token: &1}) |> Map.fetch!(:token) |> keyed()
    )

    {^user, _} = Login.bound(user, keyed_fun(%{secret: secret.("a local")}))
    <<"S", _::binary>> = Login.build_api_key(keyed_fun(%{secret: secret.("a text that is returned")}))
    {:ok, _, _} = Login.issue_token(user, keyed_fun(%{secret: secret.("a text in a tuple that is returned")}))
    {_, ^user} = Login.fetch_token!(user, keyed_fun(%{secret: secret.("a text of a function that raises")}))
    <<"S", _::binary>> = Login.hash_password(keyed_fun(%{secret: secret.("a text of a function within")}))

    for term <- [
          %{"password" => secret.("a key that is a text")},
          %{"X-Api-Key" => secret.("a key with dashes")},
          [password: secret.("a keyword")],
          [user: user, options: [api_key: secret.("a keyword in a keyword")]],
          [{"authorization", "Bearer " <> secret.("a header")}, {"accept", user}],
          [{"Set-Cookie", secret.("a header in capitals")}],
          %{nested: [%{deeper: {%{refresh_token: secret.("deep in a term")}}}]},
          %{token: %{inside: [secret.("within the value of a secret key")]}},
          %{door_pin: secret.("a key of the configuration")},
          %Wide{id: user, card: secret.("a field of the configuration"), kept: user},
          %{:password => secret.("beside others"), "user" => user, 1 => 2}
        ] do
      {:echo, ^term} = Login.echo(term)
    end

    many = for n <- 1..100, into: %{}, do: {"key#{n}", n}
    Login.echo(Map.put(many, "session_token", secret.("in a large map")))

    account = %Account{
      id: user,
      iban: secret.("a field by Recordable"),
      cache: secret.("a field that is left out")
    }

    %Account{} = Login.account(account)

    token = secret.("a variable of a function")
    map = %{token: secret.("a map of a function")}
    Login.echo(fn -> token end)
    Login.echo({user, [fn -> map.token end]})
  end

  # So that it stands nowhere as what it is.
  defp keyed(value), do: %{token: value}
  defp keyed_fun(%{secret: value}), do: fn -> value end

  defp texts(user, secret) do
    for text <- [
          "login of #{user} password=#{secret.("a text")} from here",
          "Authorization: Bearer #{secret.("a header in a text")}\r\nHost: #{user}",
          ~s({"user": "#{user}", "access_token": "#{secret.("JSON")}"}),
          inspect(%{user: user, token: secret.("a text of a term")}),
          inspect(%{"user" => user, "token" => secret.("a text of a term with arrows")}),
          inspect(inspect(%{user: user, token: secret.("a text of a text")})),
          "/login?user=x&access_token=#{secret.("a query")}&next=#{URI.encode_www_form(user)}"
        ] do
      Login.echo(text)
    end
  end

  defp exceptions(user, secret) do
    text = "#{user} was refused, token: #{secret.("the message of an exception")}"

    assert_raise Refused, fn ->
      Login.refuse(user, %{text: text, token: secret.("a field of an exception")})
    end

    assert_raise FunctionClauseError, fn ->
      call(&Login.atoms_only/2, [user, secret.("an argument in a stack")])
    end

    assert_raise FunctionClauseError, fn ->
      call(&Login.vault/2, [user, %Wide{id: secret.("a stack of a function that is named")}])
    end
  end

  # Which types it takes is known to compilers.
  defp call(fun, args), do: apply(fun, args)

  defp messages(user, secret) do
    inside(fn ->
      Login.send_to(self(), {:token, secret.("a message")})
      :token = Login.take(:token)
      Login.send_to(self(), {:other, %{user: user, password: secret.("a map in a message")}})
      :other = Login.take(:other)
    end)
  end

  defp server(user, secret) do
    inside(fn ->
      {:ok, session} = Session.start_link(user, secret.("the first state"))

      for n <- 1..80 do
        :ok = GenServer.call(session, {:rotate, %{token: secret.("a change of a state")}})
        # No value of one round is that of another, so that each is a change.
        ^n = GenServer.call(session, :seen) + 1
      end

      :ok = GenServer.call(session, {:add, %{token: secret.("a key in a list of a state")}})
      :ok = GenServer.call(session, {:headers, [{"cookie", secret.("a header of a state")}, {"host", user}]})
      GenServer.cast(session, {:cookie, secret.("a cast")})
      send(session, %{user: user, passphrase: secret.("a message that the state keeps")})
      81 = GenServer.call(session, :seen) - 1 + 1
      GenServer.stop(session)
    end)
  end

  defp sensitive(secret) do
    inside(fn ->
      # From here on its messages are recorded.
      Login.echo(:begun)

      for how <- [:at_once, :before] do
        keeper = Keeper.start(how)
        # By now it has set its flag: nothing of it, nor what is sent to it, is recorded.
        settled(keeper)

        for n <- 0..2 do
          send(keeper, {:keep, secret.("a message to a sensitive process (#{how})"), self()})
          receive(do: ({^keeper, ^n} -> :ok))
        end

        send(keeper, {:done, self()})
        receive(do: ({^keeper, :done} -> :ok))
      end
    end)
  end

  defp settled(keeper) do
    send(keeper, {:echo, :settled, self()})
    receive(do: ({^keeper, :settled} -> :ok))
  end

  defp inside(fun), do: fun |> Task.async() |> Task.await(60_000)

  # Of each file its bytes.
  defp bytes(path) do
    for file <- Path.wildcard(Path.join(path, "**"), match_dot: true),
        File.regular?(file),
        do: {file, File.read!(file)}
  end

  defp search(files, secrets) do
    all = :ets.tab2list(secrets)
    assert length(all) > 100

    # A limit may have kept the first bytes of one; so few of those that are searched for are never equal by chance.
    beginnings = Map.new(all, fn {text, what} -> {binary_part(text, 0, 10), what} end)
    pattern = beginnings |> Map.keys() |> :binary.compile_pattern()

    found =
      for {file, bytes} <- files, {at, size} <- :binary.matches(bytes, pattern) do
        before = binary_part(bytes, max(at - 60, 0), min(at, 60))
        "#{beginnings[binary_part(bytes, at, size)]}, in #{Path.basename(file)} behind #{inspect(before)}"
      end

    assert Enum.uniq(found) == []
  end

  defp found?(files, text),
    do: Enum.any?(files, fn {_file, bytes} -> :binary.match(bytes, text) != :nomatch end)

  defp read(recording) do
    for event <- ElixirScope.events(in: recording),
        do: {"event #{event.id} (#{event.kind})", :erlang.term_to_binary(event)}
  end

  describe "the bytes of a recording hold no secret" do
    test "in its rings, while it is recorded", %{tmp_dir: dir, secrets: secrets} do
      {:ok, recording} =
        ElixirScope.start(dir: dir, overflow: :overwrite, redact: @redact, watch: :instrumented)

      user = program(secrets)
      files = bytes(recording.path)
      assert found?(for({file, _} = read <- files, Path.extname(file) == ".ring", do: read), user)
      search(files, secrets)

      {:ok, _} = ElixirScope.snapshot()
      files = bytes(recording.path)
      assert found?(for({file, _} = read <- files, Path.extname(file) != ".ring", do: read), user)
      search(files, secrets)
    end

    test "in its store, and in what is read from it", %{tmp_dir: dir, secrets: secrets} do
      {:ok, recording} = ElixirScope.start(dir: dir, redact: @redact, watch: :instrumented, pack: false)
      user = program(secrets)
      :ok = ElixirScope.stop()
      files = bytes(recording.path)
      assert found?(files, user)
      search(files, secrets)

      {:ok, opened} = ElixirScope.open(recording.path)
      events = read(opened)
      assert found?(events, user)
      search(events, secrets)

      # What each kind of event would have said.
      for kind <- [:call, :return, :binding, :raise, :take, :state, :send, :receive] do
        assert Enum.any?(
                 ElixirScope.events(in: opened, kind: kind),
                 &Term.mentions?(&1.data, %Cut{kind: :redacted})
               )
      end
    end

    test "also when it was packed", %{tmp_dir: dir, secrets: secrets} do
      {:ok, recording} =
        ElixirScope.start(
          dir: dir,
          redact: @redact,
          watch: :instrumented,
          limits: [segment_bytes: 1024 * 1024]
        )

      user = program(secrets)
      for n <- 1..400, do: Login.echo({n, :binary.copy(<<rem(n, 7) + ?a>>, 8_000)})
      :ok = ElixirScope.stop()
      search(bytes(recording.path), secrets)
      {:ok, opened} = ElixirScope.open(recording.path)
      assert {:ok, %{packed: packed}} = ElixirScope.status(in: opened)
      assert packed > 1
      events = read(opened)
      assert found?(events, user)
      search(events, secrets)
    end
  end

  test "without redaction they are found", %{tmp_dir: dir, secrets: secrets} do
    {:ok, recording} = ElixirScope.start(dir: dir, redact: false, pack: false)
    text = secret(secrets, "an argument")
    Login.login("ann", text)
    :ok = ElixirScope.stop()
    assert found?(bytes(recording.path), text)
  end

  describe "what was kept out" do
    @redacted %Cut{kind: :redacted}

    setup %{tmp_dir: dir} do
      {:ok, recording} = ElixirScope.start(dir: dir, redact: @redact, watch: :instrumented)
      %{recording: recording}
    end

    test "is a cut where it stood" do
      Login.login("ann", "a secret")
      assert [%{args: ["ann", @redacted], return: {:ok, "ann", 8}}] = ElixirScope.calls(&Login.login/2)

      Login.vault("ann", [1])
      assert [%{args: [@redacted, @redacted], return: @redacted}] = ElixirScope.calls(&Login.vault/2)

      Login.account(%Account{id: 1, iban: "DE1", mail: "a@b"})
      [%{args: [account]}] = calls = ElixirScope.calls(&Login.account/1)
      left_out = %Cut{kind: :left_out}
      assert account == %Account{id: 1, iban: @redacted, mail: "a@b", history: left_out, cache: left_out}

      assert inspect(calls, limit: :infinity) =~
               ~s(%ElixirScope.Redacted.Account{iban: #Redacted<>, id: 1, mail: "a@b", 2 left out})

      assert_raise FunctionClauseError, fn -> call(&Login.atoms_only/2, ["ann", "a secret"]) end

      [%{data: %{stack: [{Login, :atoms_only, args, _} | _]}}] =
        Enum.to_list(ElixirScope.events(kind: :raise))

      assert args == ["ann", @redacted]
    end

    test "is a text that a function returns which is called as secrets are" do
      for {term, recorded} <- [
            {"text", @redacted},
            {{:ok, "text", %{user: "ann"}}, {:ok, @redacted, %{user: "ann"}}},
            {{:ok, :none}, {:ok, :none}},
            {{"token", ["text"]}, {"token", @redacted}},
            {{"text", {"inner", token: 1}}, {@redacted, {"inner", token: @redacted}}},
            {%{name: "ann", mail: ["a@b"]}, %{name: "ann", mail: ["a@b"]}},
            {["text"], ["text"]},
            {nil, nil}
          ] do
        assert Login.update_user_password(term) == term
        assert List.last(ElixirScope.calls(&Login.update_user_password/1)).return == recorded
        assert Login.echo(term) == {:echo, term}
      end

      assert [%{return: {:echo, "text"}} | _] = ElixirScope.calls(&Login.echo/1)
      Login.hash_password(fn -> "text" end)

      # With the anonymous function in it.
      returned = for call <- ElixirScope.calls(Login), hash?(call.mfa), do: call.return
      assert returned == [@redacted, @redacted]

      Login.issue_token("ann", fn -> String.duplicate("x", 100_000) end)
      assert [%{return: {:ok, @redacted, %{user: "ann"}}}] = ElixirScope.calls(&Login.issue_token/2)
    end

    defp hash?({_module, function, _arity}), do: String.starts_with?("#{function}", "hash_password")

    test "is said by questions about states" do
      {:ok, session} = Session.start_link("ann", "first")
      before = ElixirScope.now()
      :ok = GenServer.call(session, {:rotate, %{token: "second"}})
      0 = GenServer.call(session, :seen)
      now = ElixirScope.now()

      assert {:ok, %{user: "ann", token: @redacted, seen: 1}} = ElixirScope.get_state_at(session, now)
      assert {:ok, %Difference{entries: entries}} = ElixirScope.diff_state(session, before, now)
      assert entries == [{[:seen], :changed, 0, 1}, {[:token], :unknown, @redacted, @redacted}]
      # Between these no state was recorded, so it is the same one.
      later = ElixirScope.now()
      assert {:ok, %Difference{entries: []}} = ElixirScope.diff_state(session, now, now)
      assert {:ok, %Difference{entries: []}} = ElixirScope.diff_state(session, later, now)
      assert {:ok, %Difference{entries: []}} = ElixirScope.diff_state(session, now, later, path: [:token])

      assert {:ok, %Chain{ends: :cut} = chain} = ElixirScope.who_set(session, [:token], now)
      assert inspect(chain) =~ "kept out by redaction (#Redacted<>)"

      assert {:error, %Error{reason: :cut, message: message}} =
               ElixirScope.last_change(session, [:token], &is_binary/1)

      assert message =~ "was kept out by redaction (#Redacted<>)" and message =~ "redact:"

      assert %Error{reason: :cut, message: message} = catch_error(ElixirScope.replay(session, now))

      assert message =~
               "redaction kept out a part of argument 3 of 3: #Redacted<>; record with another redact:"

      # What `mix scope.gen.test` asks first.
      assert {:error, %Error{reason: :cut, message: ^message}} = Replay.moment(session, now, [])
    end

    test "does not keep others from asking about what was recorded of a state" do
      {:ok, session} = Session.start_link("ann", "first")
      :ok = GenServer.call(session, {:rotate, %{token: "second"}})
      0 = GenServer.call(session, :seen)

      for question <- [&ElixirScope.last_change/2, &ElixirScope.first_change/2] do
        assert {:ok, change} = question.(session, &(&1.seen == 1))
        assert {change.before, change.state} == {{:ok, seen(0)}, seen(1)}

        # What is not known is said where there is no answer.
        assert {:error, %Error{reason: :no_change, message: message}} = question.(session, &is_nil(&1.token))
        assert message =~ "redaction kept out what stood at .token (#Redacted<>) in the state of"

        assert {:error, %Error{reason: :bad_predicate, message: message}} =
                 question.(session, &(byte_size(&1.token) > 3))

        assert message =~ "ArgumentError"
        assert message =~ "redaction kept out what stood at .token (#Redacted<>), which may be why"
        assert message =~ "record with another redact:"
      end
    end

    defp seen(times), do: %{user: "ann", token: @redacted, keys: [], headers: [], seen: times}

    test "is a process that asks not to be looked at, until it takes that back" do
      for how <- [:at_once, :before] do
        keeper = Keeper.start(how)
        settled(keeper)
        send(keeper, {:keep, :nothing, self()})
        receive(do: ({^keeper, 0} -> :ok))
        send(keeper, {:open, self()})
        receive(do: ({^keeper, :open} -> :ok))
        send(keeper, {:echo, :seen_again, self()})
        receive(do: ({^keeper, :seen_again} -> :ok))

        of_it = Enum.to_list(ElixirScope.events(pid: keeper, kind: [:call, :return, :take, :binding, :state]))
        refute Enum.any?(of_it, &(inspect(&1.data) =~ ~r/nothing|settled/))
        assert [%{args: [:seen_again], return: :seen_again}] = ElixirScope.calls(&Keeper.said/1, pid: keeper)
        assert ElixirScope.calls(&Keeper.remember/2, pid: keeper) == []
        sent = ElixirScope.events(kind: :send, pid: self())
        refute Enum.any?(sent, &match?(%{to: ^keeper, message: {:keep, _, _}}, &1.data))
        Process.exit(keeper, :kill)
      end
    end
  end
end
