# What is instrumented in this VM. Asked by error messages ("Cart.add/2 is not instrumented") and by whoever
# wonders about an empty answer.
defmodule ElixirScope.Instrument do
  @moduledoc false

  alias ElixirScope.Instrument.{Anew, Attach, Beam, Hook, Plan, Request}

  @doc """
  Whether any function of a module, or the given function, records what it does.

      iex> ElixirScope.Instrument.instrumented?(Enum)
      false
      iex> ElixirScope.Instrument.instrumented?({Enum, :map, 2})
      false
  """
  @spec instrumented?(module() | mfa()) :: boolean()
  def instrumented?({module, function, arity}), do: {function, arity} in functions(module)
  def instrumented?(module) when is_atom(module), do: functions(module) != []

  @doc """
  The functions of the module that record what they do, private ones too, sorted.

      iex> ElixirScope.Instrument.functions(Enum)
      []
  """
  @spec functions(module()) :: [{atom(), arity()}]
  def functions(module) do
    case object_code(module) do
      {:ok, beam} -> Beam.functions(beam, module)
      :error -> if :erlang.module_loaded(module), do: in_memory(module), else: []
    end
  end

  defp in_memory(module), do: Attach.functions(module) || asked_for(module)

  # The file may be newer or older than what runs; then it says nothing.
  defp object_code(module) do
    with {^module, beam, _file} <- :code.get_object_code(module),
         {:ok, {^module, md5}} <- :beam_lib.md5(beam),
         true <- not :erlang.module_loaded(module) or module.module_info(:md5) == md5 do
      {:ok, beam}
    else
      _ -> :error
    end
  end

  # A module that was compiled into memory (IEx, a test) has no object code any more. What is left is what the
  # compiler was asked for and the names of the functions, which by the same plan gives the same answer.
  defp asked_for(module) do
    options = module.module_info(:compile)[:options] || []

    cond do
      not Anew.by_elixir?(options) -> Anew.functions(module)
      {:core_transform, Hook} in options -> plan(module, Request.options(options))
      true -> []
    end
  end

  @doc "Whether a tool has put other, unrecorded code in the place of an instrumented module, and where it keeps the original."
  @spec replaced(module()) :: nil | {:replaced, original :: module() | nil}
  def replaced(module) do
    with true <- :erlang.module_loaded(module),
         {^module, beam, _file} <- :code.get_object_code(module),
         {:ok, {^module, md5}} <- :beam_lib.md5(beam),
         true <- module.module_info(:md5) != md5,
         [] <- functions(module),
         [_ | _] <- Beam.functions(beam, module) do
      {:replaced, Anew.kept_as(module)}
    else
      _no -> nil
    end
  end

  defp plan(module, options) do
    Enum.sort(
      for function <- module.module_info(:functions),
          own?(function),
          !Plan.reason(function, options),
          do: function
    )
  end

  # Funs are functions named "-add/2-fun-0-"; module_info is added by the Erlang compiler.
  defp own?({:module_info, _}), do: false
  defp own?({name, _}), do: not String.starts_with?(Atom.to_string(name), "-")
end
