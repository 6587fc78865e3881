defmodule ElixirScope.HelpTest do
  use ExUnit.Case, async: true

  import ExUnit.CaptureIO

  alias ElixirScope.Text.Help

  # What one does with an answer, and what is said elsewhere.
  @besides [flush: 0, help: 0, get_state_at!: 2]

  test "names no function that is not there, and each that answers a question" do
    called =
      for {_title, questions} <- Help.groups(),
          {_question, calls} <- questions,
          call <- calls(calls),
          do: call

    public = ElixirScope.__info__(:functions)
    for call <- called, do: assert(call in public, "#{inspect(call)} is not a function of ElixirScope")
    named = Enum.uniq(Keyword.keys(called))
    assert Enum.uniq(Keyword.keys(public)) -- (named ++ Keyword.keys(@besides)) == []
  end

  test "names no task that is not there" do
    for {_title, questions} <- Help.groups(), {_question, "mix " <> task} <- questions do
      assert Mix.Task.get(task |> String.split() |> hd()), "mix #{task} is not there"
    end
  end

  test "names no module that is not there, and the tools of tests, spans and logs" do
    text = Help.text()

    for [name] <- Regex.scan(~r/ElixirScope(?:\.[A-Z]\w*)+/, text),
        do: assert(Code.ensure_loaded?(Module.concat([name])), name)

    for name <- ["mix scope.open", "ElixirScope.Formatter", "ElixirScope.Assertions", "spans(", "logs("],
        do: assert(text =~ name)
  end

  test "is aligned, and coloured only when asked" do
    text = capture_io(fn -> assert ElixirScope.help() == :ok end)

    calls = for {_title, questions} <- Help.groups(), {_question, call} <- questions, do: call
    lines = String.split(text, "\n")

    at = fn call ->
      for line <- lines, [before, ""] <- [String.split(line, "  " <> call)], do: String.length(before)
    end

    assert [column] = calls |> Enum.flat_map(at) |> Enum.uniq()
    assert is_integer(column)
    assert Help.text(color: true) =~ "\e["
    refute Help.text() =~ "\e["
    for line <- String.split(Help.text(), "\n"), do: assert(String.length(line) <= 132, line)
  end

  defp calls("mix " <> _task), do: []
  defp calls("use " <> _module), do: []
  defp calls("h " <> _module), do: []

  defp calls(text) do
    {:ok, calls} = Code.string_to_quoted("[#{text}]")
    for {name, _meta, args} <- calls, do: {name, length(args)}
  end
end
