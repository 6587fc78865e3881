defmodule ElixirScope.GenTestTest do
  # `mix scope.gen.test`, of recordings that this VM makes.
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias ElixirScope.Traced.Store
  alias ElixirScope.{Query, Walked}
  alias Mix.Tasks.Scope.Gen

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording, out: Path.join(dir, "generated_test.exs")}
  end

  defp generate(server, at, recording, out, more \\ []) do
    ElixirScope.flush()

    capture_io(fn ->
      Gen.Test.run(["--server", server, "--at", to_string(at), "--in", recording.path, "--out", out] ++ more)
    end)
  end

  # In a VM of its own: this one's suite takes no more tests.
  defp run(file) do
    ebin = Mix.Project.compile_path()
    System.cmd("elixir", ["-pa", ebin, "-e", "ExUnit.start()", "-r", file], stderr_to_stdout: true)
  end

  defp passes(file) do
    source = File.read!(file)
    # With the options of this project.
    assert source == IO.iodata_to_binary([Code.format_string!(source, line_length: 110), "\n"])
    assert {output, 0} = run(file)
    # As ExUnit says it, and as it says it since 1.20.
    assert output =~ ~r/1 test, 0 failures|Result: 1 passed/
    refute output =~ "warning"
    source
  end

  test "the test passes on the code that was recorded, and shows where it is", %{
    recording: recording,
    out: out
  } do
    {:ok, shop} = Walked.start_link(%{:tea => 7, "cup" => {1.5, ~c"x", nil}, Walked => <<0, 255>>})
    Walked.take(shop, :tea, 2)
    assert generate(inspect(shop), "0s", recording, out) =~ out
    source = passes(out)
    assert source =~ "Walked.handle_call(message, from, state)"
    assert source =~ "stands for #{inspect(self())} of the recording"
    assert source =~ "ref_1 = make_ref()"
  end

  test "it is formatted as the project is", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{long: String.duplicate("x", 75), tea: 7})
    Walked.take(shop, :tea, 2)
    generate(inspect(shop), "0s", recording, out)
    assert passes(out) |> String.split("\n") |> Enum.any?(&(String.length(&1) in 99..110))
  end

  test "it fails when the code does something else", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    GenServer.call(shop, :flag)
    generate(inspect(shop), "0s", recording, out)
    File.write!(out, String.replace(File.read!(out), ":old", ":new"))
    assert {output, 2} = run(out)
    assert output =~ ~r/1 failure|Failed: 1 test/
  end

  test "states of all shapes, by a name, and by a mark", %{recording: recording, out: out} do
    # A closed pid, a reference twice, structs, sets, improper lists, texts with quotes.
    ref = make_ref()

    state = %{
      {ref, self()} => [ref | self()],
      set: MapSet.new([1, :a]),
      date: ~U[2026-01-01 00:00:00.000001Z],
      range: 1..3,
      error: %ArgumentError{message: "\#{no} \"quote\"\n"},
      fun: &String.trim/1,
      big: 123_456_789_012_345_678_901_234_567_890,
      bits: <<5::3>>,
      float: 1.0e-30,
      "odd key": :"odd atom",
      nil: nil,
      foreign: %{__struct__: NoSuchModule, a: 1},
      queue: :queue.from_list([1, 2, 3])
    }

    {:ok, store} = Store.start_link(state, name: :gen_test_store)
    GenServer.call(store, :get)
    ElixirScope.mark("here")
    GenServer.call(store, {:put, :other})
    generate(":gen_test_store", "here", recording, out)
    source = passes(out)
    assert source =~ "%DateTime{" and source =~ "MapSet.new([1, :a])" and source =~ "&String.trim/1"
  end

  @tag :capture_log
  test "what was raised is asserted", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    Process.unlink(shop)
    catch_exit(GenServer.call(shop, {:fail, "oh"}))
    generate(inspect(shop), "0s", recording, out)
    assert passes(out) =~ ~s(assert_raise ArgumentError, "oh")
  end

  @tag :capture_log
  test "a long message is asserted whole, one that shows a process not at all", %{
    recording: recording,
    out: out
  } do
    for {text, asserted} <- [{String.duplicate("o", 9_000), true}, {"not " <> inspect(self()), false}] do
      {:ok, shop} = Walked.start_link(%{tea: 7})
      Process.unlink(shop)
      catch_exit(GenServer.call(shop, {:fail, text}))
      generate(inspect(shop), "0s", recording, out, ["--force"])
      source = passes(out)
      assert source =~ "assert_raise ArgumentError"
      # Once as the message to the server, and as what it raised.
      assert length(String.split(source, ~s("#{text}"))) == if(asserted, do: 3, else: 2)
    end
  end

  @tag :capture_log
  test "so is what was thrown", %{recording: recording, out: out} do
    {:ok, store} = Store.start_link(:first)
    GenServer.call(store, {:throw, :second})
    generate(inspect(store), "0s", recording, out)
    assert passes(out) =~ "assert catch_throw("
  end

  test "what the callback makes anew each time is not compared", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    GenServer.call(shop, {:run, &:erlang.make_ref/0})
    generate(inspect(shop), "0s", recording, out)
    assert passes(out) =~ "assert {:reply, _, %{tea: 7}} = "
  end

  test "a file that is there stays unless --force says so", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    Walked.take(shop, :tea, 2)
    File.write!(out, "mine")

    assert_raise Mix.Error, ~r/there already/, fn ->
      generate(inspect(shop), "0s", recording, out)
    end

    assert File.read!(out) == "mine"
    generate(inspect(shop), "0s", recording, out, ["--force"])
    passes(out)
  end

  test "what cannot be written down is an error", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    GenServer.call(shop, {:run, fn -> :local end})
    error = assert_raise Mix.Error, fn -> generate(inspect(shop), "0s", recording, out) end
    assert error.message =~ "whose message of ElixirScope.Walked.handle_call/3 can be written down"
    assert error.message =~ "ElixirScope.replay/3"
    refute File.exists?(out)
  end

  test "times are understood in several forms", %{recording: recording, out: out} do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    Walked.take(shop, :tea, 2)
    time = ElixirScope.now() |> DateTime.from_unix!(:nanosecond) |> DateTime.to_iso8601()
    Walked.take(shop, :tea, 3)

    for {at, message} <- [{"0s", "{:take, :tea, 3}"}, {time, "{:take, :tea, 2}"}] do
      generate(inspect(shop), at, recording, out, ["--force"])
      assert File.read!(out) =~ "message = #{message}"
    end
  end

  test "wrong arguments and unknown things are said", %{recording: recording, out: out} do
    assert_raise Mix.Error, ~r/expected --server NAME/, fn -> Gen.Test.run(["--server", "x"]) end

    assert_raise Mix.Error, ~r/the recording has no marks/, fn ->
      generate("x", "no such mark", recording, out)
    end

    assert_raise Mix.Error, ~r/expected a process that is in the recording/, fn ->
      generate("<0.4000000.0>", "0s", recording, out)
    end
  end

  test "text that the tokenizer or the formatter would not take is escaped" do
    for term <- ["\u202e bidi \u2066", :"a\u202eb", Map.new([{:"a\"b", 1}, {:"a b", 2}])] do
      {:ok, text} = Query.Replay.Literal.source(term, %{})
      text = text |> Code.format_string!() |> IO.iodata_to_binary()
      assert {^term, _} = Code.eval_string(text)
    end
  end

  test "a recorded term as source is that term again" do
    for _ <- 1..300 do
      term = ElixirScope.Terms.random(4)
      names = Query.Replay.Literal.names([term])

      case Query.Replay.Literal.source(term, names) do
        {:ok, text} ->
          bindings = for {term, name} <- names, do: {String.to_atom(name), term}
          assert {made, _} = Code.eval_string(text, bindings)
          assert made === term

        {:error, what} ->
          assert is_function(what) or is_port(what)
      end
    end
  end
end
