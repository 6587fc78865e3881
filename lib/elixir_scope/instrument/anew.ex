# A module that is compiled anew while the VM runs, not by Elixir but by a tool that took the forms out of the debug
# information: `:cover`, which puts its counters in, and tools for tests (Mimic, Patch, :meck), which put the original
# aside under another name, or back. The forms still ask for the hook, but come without the debug information that it
# starts from; so it is looked for where the tool found it.
#
# Invariant: forms are used only when they compile to the very Core Erlang that the hook was handed. So what runs is what
# the tool made, and its counters count as without us, or else the module is left as the tool compiled it.
defmodule ElixirScope.Instrument.Anew do
  @moduledoc false

  alias ElixirScope.Instrument.{Beam, Compile, Cover, Request}

  @mark :elixir_scope_anew
  # What tools append to the name of the original.
  @suffixes [".Mimic.Original.Module", "_meck_original"]
  # Where they put it.
  @prefixes ["Elixir.Patch.Mock.Original.For."]

  @doc "Elixir's description of the module, and the forms that were compiled."
  @spec forms(module(), tuple(), [term()]) :: {:ok, map(), [tuple()]} | {:error, String.t()}
  def forms(module, core, compile_options) do
    with {:ok, beam} <- object_code(original_name(module)),
         {:ok, map} <- Beam.debug_info(beam),
         {:ok, forms} <- beam |> Beam.forms() |> Enum.map(&renamed(&1, module)) |> as_tool(module),
         forms = Enum.map(forms, &unasked/1),
         {:ok, _module, same} <- Compile.forms(forms, [:to_core | Compile.inherited(compile_options)]),
         {:same, true} <- {:same, code(same) == code(core)} do
      {:ok, map, forms}
    else
      :error -> {:error, "the object code that it was made from is not in the code path"}
      {:same, false} -> {:error, "it has changed the code in a way that is not known here"}
      {:error, problem} -> {:error, problem}
    end
  end

  @doc "Remembers what of a module records after it was compiled anew, or why nothing does."
  @spec remember(module(), [{atom(), arity()}] | String.t()) :: :ok
  def remember(module, functions_or_problem),
    do: :persistent_term.put({__MODULE__, module}, functions_or_problem)

  @doc "What was remembered; `nil` when nothing was asked for."
  @spec remembered(module()) :: [{atom(), arity()}] | String.t() | nil
  def remembered(module), do: :persistent_term.get({__MODULE__, module}, nil)

  @doc "Marks the code, by an attribute, so that it is not taken for what a tool makes later under the same name."
  @spec mark(tuple()) :: tuple()
  def mark(core) do
    mark = {:cerl.c_atom(@mark), :cerl.make_list([:cerl.c_atom(true)])}
    attributes = :cerl.module_attrs(core) ++ [mark]

    :cerl.update_c_module(
      core,
      :cerl.module_name(core),
      :cerl.module_exports(core),
      attributes,
      :cerl.module_defs(core)
    )
  end

  @doc "The functions that record in the code that runs, if it was compiled anew."
  @spec functions(module()) :: [{atom(), arity()}]
  def functions(module) do
    with true <- Keyword.has_key?(module.module_info(:attributes), @mark),
         functions when is_list(functions) <- remembered(module) do
      functions
    else
      _not_ours -> []
    end
  end

  @doc """
  Whether code is compiled by Elixir, by the options of its compilation: Elixir compiles from Core.
  """
  @spec by_elixir?([term()]) :: boolean()
  def by_elixir?(options), do: :from_core in options

  @doc "Where tools keep the original of a module that they replaced, if one does."
  @spec kept_as(module()) :: module() | nil
  def kept_as(module) do
    names =
      for(suffix <- @suffixes, do: "#{module}#{suffix}") ++
        for(prefix <- @prefixes, do: prefix <> inspect(module))

    names |> Enum.map(&String.to_atom/1) |> Enum.find(&:erlang.module_loaded/1)
  end

  defp original_name(module) do
    name = Atom.to_string(module)

    case Enum.find(@suffixes, &String.ends_with?(name, &1)) do
      nil -> module
      suffix -> name |> String.replace_suffix(suffix, "") |> String.to_atom()
    end
  end

  defp as_tool(forms, module) do
    if Cover.running?(module), do: Cover.counted(module, forms), else: {:ok, forms}
  end

  defp renamed({:attribute, anno, :module, _name}, module), do: {:attribute, anno, :module, module}
  defp renamed(form, _module), do: form

  # Else the hook would be called for what it compiles itself.
  defp unasked({:attribute, anno, :compile, options}) do
    {:attribute, anno, :compile, options |> List.wrap() |> Compile.inherited()}
  end

  defp unasked(form), do: form

  # Neither cover nor the code server's own answer: the one waits for this very compilation, the other knows the tool's.
  defp object_code(module) do
    with file when is_list(file) <- :code.where_is_file(~c"#{module}.beam"), {:ok, beam} <- File.read(file) do
      {:ok, beam}
    else
      _not_there -> :error
    end
  end

  defp code(core), do: {:cerl.module_exports(core), :cerl.module_defs(core)}

  @doc "Whether anything was asked for by these compile options."
  @spec asked?([term()]) :: boolean()
  def asked?(compile_options), do: Enum.any?(Request.keys(), &List.keymember?(compile_options, &1, 0))
end
