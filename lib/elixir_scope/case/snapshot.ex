defmodule ElixirScope.Case.Snapshot do
  @moduledoc false
  # A trace against the text of an earlier one that somebody has looked at.

  alias ElixirScope.Case.{Failure, Lost, Snapshot}
  alias ElixirScope.Trace

  @variable "ELIXIR_SCOPE_UPDATE"
  @usual [:calls, :states]
  @all [:calls, :states, :messages, :exits]

  @doc "Fails unless a trace is that of the file of a name, in the folder `snapshots` beside the test; writes it if it is asked to."
  @spec assert(Trace.t(), String.t(), Path.t(), keyword) :: true
  def assert(%Trace{} = trace, name, test_file, options) do
    {shown, replaced} = read(options)
    file = file(name, test_file)
    whole(trace)
    text = trace |> text(shown) |> replace(replaced)

    cond do
      System.get_env(@variable) in ["1", "true"] -> write(file, text)
      File.exists?(file) -> compare(File.read!(file), text, file, trace)
      true -> missing(file, text, trace)
    end
  end

  def assert(other, _name, _test_file, _options) do
    raise ArgumentError,
          "assert_snapshot expects an ElixirScope.Trace, as record/1 gives it, got: #{inspect(other, limit: 5, printable_limit: 100)}"
  end

  defp read(options) do
    if Keyword.keyword?(options) and Keyword.keys(options) -- [:show, :replace] == [],
      do: {shown(Keyword.get(options, :show, @usual)), replaced(Keyword.get(options, :replace, []))},
      else: bad("the options show: and replace:", options)
  end

  defp shown([_ | _] = shown) do
    if List.improper?(shown) or shown -- @all != [], do: bad(some(), shown), else: shown
  end

  defp shown(other), do: bad(some(), other)

  defp some, do: "the option show: with some of #{Enum.map_join(@all, ", ", &inspect/1)} in a list"

  defp replaced(pairs) do
    if is_list(pairs) and not List.improper?(pairs) and Enum.all?(pairs, &pair?/1),
      do: pairs,
      else:
        bad(
          "the option replace: with pairs of a text, not an empty one, or regular expression and a text in a list",
          pairs
        )
  end

  defp pair?({%Regex{}, with_what}), do: is_binary(with_what)
  defp pair?({text, with_what}), do: is_binary(text) and text != "" and is_binary(with_what)
  defp pair?(_other), do: false

  defp replace(text, pairs) do
    Enum.reduce(pairs, text, fn {pattern, with_what}, text -> String.replace(text, pattern, with_what) end)
  end

  defp bad(expected, got),
    do: raise(ArgumentError, "assert_snapshot expects #{expected}, got: #{inspect(got)}")

  defp file(name, test_file) when is_binary(name) do
    if Path.type(name) == :relative and name != "" and ".." not in Path.split(name),
      do: Path.join([Path.dirname(test_file), "snapshots", name <> ".trace"]),
      else: bad_name(name)
  end

  defp file(name, _test_file), do: bad_name(name)

  defp bad_name(name) do
    raise ArgumentError,
          "assert_snapshot expects the name of a file, without its folder, such as \"checkout\", got: #{inspect(name)}"
  end

  # What is missing in one run is there in another, and so is what comes behind the end of a trace.
  defp whole(trace) do
    lost = Lost.text(Lost.between(trace.recording, trace.since, trace.until))

    if why = lost || (trace.unsettled && trace.unsettled <> "."),
      do: fail("Expected a trace that can be compared.", "Undecided: " <> why, trace)
  end

  defp text(trace, shown) do
    case Snapshot.Text.lines(trace, shown) do
      {:ok, lines} ->
        Enum.join(lines, "\n") <> "\n"

      :none ->
        fail(
          "Expected a trace with #{Enum.map_join(shown, ", ", &to_string/1)} in it.",
          "Nothing of the kind was recorded while the function ran: is what it calls instrumented (`use ElixirScope`)?",
          trace
        )

      :many ->
        fail(
          "Expected a trace that people can read.",
          "It has more than 20,000 calls and states. Record less of the test.",
          trace
        )
    end
  end

  defp write(file, text) do
    File.mkdir_p!(Path.dirname(file))
    File.write!(file, text)
    true
  end

  defp compare(text, text, _file, _trace), do: true

  defp compare(golden, text, file, trace) do
    # A checkout may have written other ends of lines.
    case Snapshot.Diff.lines(String.split(golden, ~r/\r?\n/), String.split(text, "\n")) do
      [] ->
        true

      lines ->
        fail(
          "Expected the trace of #{Path.relative_to_cwd(file)}.",
          "It differs: - is the file, + what was recorded.\n\n" <>
            Enum.map_join(lines, "\n", &("    " <> &1)) <> "\n\nIf this is right now, #{how()}",
          trace
        )
    end
  end

  defp missing(file, text, trace) do
    fail(
      "Expected the trace of #{Path.relative_to_cwd(file)}, which is not there.",
      "If this is right, #{how()}\n\n" <>
        (text |> String.split("\n") |> Enum.take(60) |> Enum.map_join("\n", &("    " <> &1))),
      trace
    )
  end

  defp how, do: "write it: #{@variable}=1 mix test"

  defp fail(expected, found, trace) do
    Failure.fail(%{expected: expected, found: found, family: family(trace), server: nil, candidates: []})
  end

  defp family(trace),
    do: %{recording: trace.recording, pids: trace.pids, since: trace.since, test: trace.test}
end
