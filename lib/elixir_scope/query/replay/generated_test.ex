defmodule ElixirScope.Query.Replay.GeneratedTest do
  @moduledoc false
  # An ExUnit test of a callback, from a recorded moment.

  alias ElixirScope.{Cut, Error, Query}
  alias ElixirScope.Query.Moment

  @names %{
    handle_call: ~w(message from),
    handle_cast: ~w(message),
    handle_info: ~w(message),
    handle_continue: ~w(continue),
    handle_event: ~w(type event),
    init: ~w(argument),
    terminate: ~w(reason)
  }

  @doc "The source of the test, formatted."
  @spec source(Query.Replay.moment()) :: {:ok, String.t()} | {:error, Error.t()}
  def source(moment) do
    names = Query.Replay.Literal.names(moment.call.args)
    arguments = named(moment)

    with {:ok, assignments} <- assignments(arguments, names, moment),
         {:ok, assertion} <- assertion(moment, Enum.map_join(arguments, ", ", &elem(&1, 0)), names) do
      text =
        [head(moment), placeholders(names), assignments, "\n", assertion, "\nend\nend\n"]
        |> IO.iodata_to_binary()

      {:ok, IO.iodata_to_binary([Code.format_string!(text), "\n"])}
    end
  end

  @doc "Where the test belongs when nobody says where."
  @spec path(Query.Replay.moment()) :: Path.t()
  def path(%{call: %{mfa: {module, function, _arity}, started: time}}) do
    Path.join(["test", "scope", "#{Macro.underscore(inspect(module))}_#{function}_#{time}_test.exs"])
  end

  # The arguments under the names that they have in most callbacks.
  defp named(%{call: %{mfa: {_, function, arity}, args: args}} = moment) do
    known = Map.get(@names, function, [])

    names =
      case {moment.state, known} do
        {:none, names} when length(names) == arity -> names
        {{:ok, _}, names} when length(names) == arity - 1 -> names ++ ["state"]
        {{:ok, _}, names} when length(names) == arity - 2 -> names ++ ["state", "data"]
        _other -> for n <- 1..arity//1, do: "argument_#{n}"
      end

    Enum.zip(names, args)
  end

  defp head(%{call: %{mfa: {module, function, arity}} = call} = moment) do
    """
    # Written by mix scope.gen.test: what #{inspect(call.pid)} did at #{Moment.format(call.started)} (#{call.started}), from
    # #{Path.relative_to_cwd(moment.recording.path)}
    defmodule #{inspect(module)}.#{function |> Atom.to_string() |> Macro.camelize() |> module_part()}At#{call.started}Test do
      use ExUnit.Case, async: true

      test #{inspect("#{function}/#{arity} as it was recorded at #{Moment.format(call.started)}")} do
    """
  end

  defp module_part(text), do: String.replace(text, ~r/\W/, "")

  defp placeholders(names) when names == %{}, do: ""

  defp placeholders(names) do
    lines =
      for {term, name} <- Enum.sort_by(names, &elem(&1, 1)) do
        made = if is_pid(term), do: "spawn(fn -> :ok end)", else: "make_ref()"
        "# stands for #{inspect(term)} of the recording\n#{name} = #{made}\n"
      end

    [lines, "\n"]
  end

  defp assignments(arguments, names, moment) do
    Enum.reduce_while(arguments, {:ok, []}, fn {name, term}, {:ok, lines} ->
      case Query.Replay.Literal.source(term, names) do
        {:ok, text} -> {:cont, {:ok, [lines, name, " = ", text, "\n"]}}
        {:error, what} -> {:halt, no_literal("#{name} of #{label(moment)}", what)}
      end
    end)
  end

  defp no_literal(where, what) do
    Error.new(
      :no_literal,
      "expected a moment whose #{where} can be written down as source, but it holds #{inspect(what)}, which means nothing " <>
        "outside of its VM; ElixirScope.replay/3 runs it as it is, or choose another moment"
    )
  end

  defp assertion(%{call: %{outcome: :returned} = call} = moment, arguments, names) do
    run = "#{function(call.mfa)}(#{arguments})"

    with nil <- Query.Replay.cut_in(call.return),
         {:ok, text} <- Query.Replay.Literal.source(call.return, names) do
      {:ok, "assert #{run} == #{text}"}
    else
      {:error, _new} -> pattern(moment, run, names)
      cut -> cut("what #{label(moment)} returned", cut)
    end
  end

  defp assertion(
         %{call: %{outcome: :raised, exception: %{kind: :error, reason: %module{} = error}} = call},
         arguments,
         _names
       )
       when is_exception(error) do
    {:ok,
     "assert_raise #{inspect(module)}, #{message(Exception.message(error))}fn -> #{function(call.mfa)}(#{arguments}) end"}
  end

  defp assertion(
         %{call: %{outcome: :raised, exception: %{kind: kind, reason: reason}} = call} = moment,
         arguments,
         names
       ) do
    reason = if kind == :error, do: Exception.normalize(:error, reason, call.exception.stack), else: reason

    case {kind, reason} do
      {:error, %module{}} ->
        {:ok, "assert_raise #{inspect(module)}, fn -> #{function(call.mfa)}(#{arguments}) end"}

      {kind, reason} ->
        with nil <- Query.Replay.cut_in(reason), {:ok, text} <- Query.Replay.Literal.source(reason, names) do
          {:ok, "assert catch_#{kind}(#{function(call.mfa)}(#{arguments})) == #{text}"}
        else
          {:error, what} -> no_literal("#{kind} of #{label(moment)}", what)
          cut -> cut("the #{kind} of #{label(moment)}", cut)
        end
    end
  end

  defp assertion(moment, _arguments, _names) do
    Error.new(
      :no_literal,
      "expected a callback of which it is known how it ended, but #{label(moment)} " <>
        if(moment.call.outcome == :open,
          do: "had not ended when the recording did",
          else: "ended where nothing was recorded"
        )
    )
  end

  # A message that shows a process, reference, port or function shows another one each time.
  defp message(message) do
    if message =~ ~r/#(PID|Reference|Port|Function)</ do
      ""
    else
      {:ok, text} = Query.Replay.Literal.source(message, %{})
      text <> ", "
    end
  end

  # What the callback made itself (a reference, a process) is another one each time.
  defp pattern(%{call: call} = moment, run, names) do
    case Query.Replay.Literal.source(call.return, names, :pattern) do
      {:ok, text} ->
        {:ok,
         "# `_` stands for a process, reference or function that the callback made\nassert #{text} = #{run}"}

      {:error, what} ->
        no_literal("result of #{label(moment)}", what)
    end
  end

  defp cut(what, cut) do
    Error.new(
      :cut,
      "#{what} is not whole: #{Cut.by(cut)} kept out #{inspect(cut)}; #{Cut.remedy(cut)}"
    )
  end

  defp function({module, function, _arity}) do
    "[" <> name = inspect([{function, 0}])
    "#{inspect(module)}.#{String.replace_suffix(name, ": 0]", "")}"
  end

  defp label(%{call: %{mfa: {module, function, arity}}}), do: Exception.format_mfa(module, function, arity)
end
