defmodule ElixirScope.Case.Seen do
  @moduledoc false
  # Whether calls of a function could have been seen. What is known of a module holds until it is loaded anew, so it is asked once.

  alias ElixirScope.Case.{Scope, Silent}
  alias ElixirScope.Query.{Function, Processes, Server, Unseen}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc """
  Why no call of a function could have been seen, or `nil`. `sites` are those of the function in the recording, as
  `Native.sites_of/4` gives them.
  """
  @spec reason(mfa, [{non_neg_integer, boolean}]) :: String.t() | nil
  def reason({module, name, arity} = function, sites) do
    cond do
      sites != [] and Enum.all?(sites, fn {_key, counted?} -> counted? end) -> counted(function)
      # Of one that the compiler put into its callers nothing is left in the module, but its calls were recorded there.
      sites != [] and inlined?(module, name, arity) -> nil
      true -> reason(function)
    end
  end

  @doc "The same, by the module alone."
  @spec reason({module | term, atom, arity}) :: String.t() | nil
  # A test may name it by a variable.
  def reason({module, _name, _arity}) when not is_atom(module),
    do: "expected a module that this VM knows, got: #{inspect(module)}"

  def reason({module, _name, _arity} = function) do
    loaded = Code.ensure_loaded?(module) and module.module_info(:md5)

    if loaded && :persistent_term.get({__MODULE__, function}, nil) == loaded do
      nil
    else
      reason = asked(function)
      if reason == nil and loaded, do: :persistent_term.put({__MODULE__, function}, loaded)
      reason
    end
  end

  defp asked({module, name, arity} = function) do
    cond do
      macro?(module, name, arity) ->
        "#{label(function)} is a macro, which runs only in the compiler; ask for a function that it calls"

      inlined?(module, name, arity) and {name, arity} not in module.module_info(:functions) ->
        "#{label(function)} is inlined: `@compile {:inline, ...}` lets the compiler put it into its callers, and no call of it was recorded " <>
          "that would say whether it is instrumented; take it out of that list"

      true ->
        Unseen.reason(module, name, arity)
    end
  end

  # Asking the module itself, `__info__(:macros)`, would count as a call of it to `:cover`.
  defp macro?(module, name, arity),
    do: Code.ensure_loaded?(module) and function_exported?(module, :"MACRO-#{name}", arity + 1)

  defp inlined?(module, name, arity) do
    Code.ensure_loaded?(module) and
      Enum.any?(module.module_info(:compile)[:options] || [], fn
        {:inline, functions} -> {name, arity} in List.wrap(functions)
        _other -> false
      end)
  end

  defp counted(function) do
    "calls of #{label(function)} are counted, not recorded: ElixirScope.counts() says how often. To record them take it out of count: " <>
      "(of `use ElixirScope` or scope.plan.exs), or put `@scope true` above it"
  end

  defp label(function), do: Function.label(function)

  @doc """
  Why calls of a function in a test's time were not all recorded, although some were or would be now; `nil`: they were. `sites` are those of the
  function, as for `reason/2`.
  """
  @spec doubt(mfa, [{non_neg_integer, boolean}], Scope.t()) :: String.t() | nil
  # Code that was recorded may have been replaced since by a tool that tells nobody.
  def doubt(function, sites, family),
    do: Unseen.changed(function, began(family)) || reason(function, sites) || Silent.text(family)

  # Where nobody noted it, the first that is known of the test's process.
  defp began(%{since: 0, test: test, recording: recording}) do
    with {:ok, numbers} <- Server.numbers(test),
         [first] <- recording |> Processes.stream(["process"], [numbers], 0, @forever) |> Enum.take(1) do
      first.time
    else
      _nothing_yet -> @forever
    end
  end

  defp began(%{since: since}), do: since

  @doc """
  `reason/1` at the time when a test is compiled; `nil` also where only the running test can know: the module is not compiled yet, or
  a tool has put another in its place.
  """
  @spec when_compiled(mfa) :: String.t() | nil
  def when_compiled({module, _name, _arity} = function) do
    with {:module, ^module} <- Code.ensure_compiled(module),
         path when is_list(path) and path != [] <- which(module),
         do: reason(function),
         else: (_not_yet -> nil)
  end

  # Of a module that is only in memory the path is empty: one that the file of the test defines, or the copy of a tool.
  defp which(module) do
    case :code.which(module) do
      path when is_list(path) -> path
      _cover_compiled_or_none -> nil
    end
  end
end
