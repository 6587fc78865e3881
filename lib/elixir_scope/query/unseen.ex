defmodule ElixirScope.Query.Unseen do
  @moduledoc false
  # Why no call of a function could have been seen: it does not exist, is not instrumented, or is not in the recording. `nil` when it is.

  alias ElixirScope.{Instrument, Text}
  alias ElixirScope.Instrument.{Anew, Attach, Closure}
  alias ElixirScope.Query.Function

  @spec reason(module, atom, arity | :_) :: String.t() | nil
  def reason(module, function, arity) do
    # An anonymous function is there when the function around it is.
    {function, arity} = Closure.around(function) || {function, arity}
    instrumented = Instrument.functions(module)

    cond do
      not Code.ensure_loaded?(module) ->
        "expected a module that this VM knows, got: #{inspect(module)}"

      matching(instrumented, function, arity) != [] ->
        nil

      function == :_ and not Enum.any?(defined(module), &written?/1) ->
        "expected a module with functions, and #{inspect(module)} defines none"

      :code.which(module) == :cover_compiled ->
        "#{inspect(module)} is not instrumented now: `:cover` has compiled it anew#{why_not(module)}; " <>
          "ask without --cover, or leave the module out of it"

      replaced = Instrument.replaced(module) ->
        "#{inspect(module)} was replaced while the VM runs, by Mimic, Patch, :meck or the like, and what runs now is " <>
          "not instrumented#{original(replaced)}; leave the module out of that tool"

      matching(defined(module), function, arity) != [] and instrumented == [] ->
        "#{inspect(module)} is not instrumented; put `use ElixirScope` into it and compile it again, name its application " <>
          "in `config :elixir_scope, instrument: [apps: ...]`, or say ElixirScope.instrument(#{inspect(module)}) while it runs"

      matching(defined(module), function, arity) != [] ->
        "#{show(module, function, arity)} is not instrumented, other functions of #{inspect(module)} are; " <>
          "look at the options :only, :except and :count of its `use ElixirScope`, at `@scope`, or at `mix scope.plan`"

      true ->
        "#{show(module, function, arity)} does not exist#{like(module, function)}"
    end
  end

  # So many of the last changes are named.
  @changes 3

  @doc """
  Why calls of a function since a time were not all recorded although it is instrumented, or was: `ElixirScope.instrument/2` or `uninstrument/1` has changed
  the code in between. `nil`: it was recorded all the time, as far as these know.
  """
  @spec changed(mfa, non_neg_integer) :: String.t() | nil
  def changed({module, function, arity}, since) do
    named = Closure.around(function) || {function, arity}

    {after_it, before} =
      module |> Attach.changes() |> Enum.split_while(fn {time, _functions} -> time > since end)

    recorded? = fn {_time, functions} -> named in functions end

    unless after_it == [] or Enum.all?(after_it ++ Enum.take(before, 1), recorded?) do
      "the code of #{inspect(module)} was changed in the midst of this test, by ElixirScope.instrument/2 or uninstrument/1 " <>
        "(#{after_it |> Enum.take(@changes) |> Enum.reverse() |> Enum.map_join(", ", &in_words(&1, recorded?, module, named))}), and other calls were not recorded. " <>
        "Instrument it before the test begins, as in setup_all or test_helper.exs"
    end
  end

  defp in_words({time, _functions} = change, recorded?, module, {name, arity}) do
    from = if recorded?.(change), do: "recorded", else: "not recorded"
    "#{show(module, name, arity)} is #{from} since #{Text.clock(time)}"
  end

  defp why_not(module) do
    case Anew.remembered(module) do
      problem when is_binary(problem) -> ", and #{problem}"
      _not_asked -> ""
    end
  end

  defp original({:replaced, nil}), do: ""

  defp original({:replaced, original}) do
    if Instrument.instrumented?(original),
      do: " (calls that it hands on to the original are recorded as those of #{inspect(original)})",
      else: ""
  end

  defp matching(functions, function, arity) do
    Enum.filter(functions, fn {name, count} -> function in [:_, name] and arity in [:_, count] end)
  end

  defp defined(module), do: module.module_info(:functions)

  # The compilers add these.
  defp written?({name, _arity}),
    do: not String.starts_with?(Atom.to_string(name), ["__info__", "module_info", "-inlined-"])

  defp like(module, function) do
    case for({^function, arity} <- defined(module), do: show(module, function, arity)) do
      [] -> ""
      some -> "; there is #{Enum.join(some, ", ")}"
    end
  end

  # So many functions are named.
  @named 8

  @doc """
  The same for a recording that was opened, by the functions of which something is in it: it need not be of this VM's program.
  """
  @spec absent([mfa], Function.pattern(), Path.t()) :: String.t() | nil
  def absent(functions, {module, _, _} = pattern, path) do
    unless Enum.any?(functions, &Function.match?(pattern, &1)) do
      "#{Function.label(pattern)} is not in the recording #{path}: it did not run while that was made, or was not instrumented then" <>
        beside(Enum.filter(functions, &match?({^module, _, _}, &1)), module)
    end
  end

  defp beside([], module), do: "; of #{inspect(module)} nothing is in it"

  defp beside(functions, module) do
    {named, more} = functions |> Enum.sort() |> Enum.split(@named)
    others = if more == [], do: "", else: " and #{length(more)} more"

    "; of #{inspect(module)} there is #{Enum.map_join(named, ", ", fn {module, name, arity} -> show(module, name, arity) end)}#{others}"
  end

  defp show(module, function, arity), do: Function.label({module, function, arity})
end
