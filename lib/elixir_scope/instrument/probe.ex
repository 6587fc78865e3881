# The call that records what was bound at one place of the source: one call however many variables, none where no
# variable of the user's is. It stands behind the match, so patterns, guards and what they raise are as written.
defmodule ElixirScope.Instrument.Probe do
  @moduledoc false

  alias ElixirScope.{Capture, Native}
  alias ElixirScope.Instrument.{Site, Syntax}

  # Native has one bind/n for each number of values up to here; more go in a list.
  @most_values 12

  @typedoc "Where it stands: the function as recorded, which place of it this is, and the file"
  @type place :: {mfa(), {ordinal :: pos_integer(), Site.kind(), clause :: pos_integer()}, Site.origin()}

  @doc """
  The variables of a list that are recorded, with what the user calls them.

      iex> ElixirScope.Instrument.Probe.shown([:"_x@1", :_, :"_@2", :"__skipped@1"])
      [{:"_x@1", :x}]
  """
  @spec shown([atom()]) :: [{variable :: atom(), shown :: atom()}]
  def shown(names), do: for(name <- names, shown = Syntax.user_name(name), do: {name, shown})

  @doc """
  The call. `keys` are those under which patterns find variables, `state` is the variable of a server's state that may be among the
  values, or `nil`.
  """
  @spec call([{atom(), atom()}, ...], place(), :erl_anno.anno(), map(), Syntax.expr() | nil) :: Syntax.expr()
  def call(shown, {mfa, which, origin}, anno, keys, state \\ nil) do
    added = Syntax.generated(anno)
    names = Enum.map(shown, &elem(&1, 1))
    # A key that is called as the variable is says no more.
    keys = for {name, shown} <- shown, do: keys |> Map.get(name, []) |> List.delete(shown)
    site = Syntax.literal(Site.binding(mfa, which, names, origin, anno, keys), added)
    values = for {name, _shown} <- shown, do: {:var, added, name}

    cond do
      state -> Syntax.remote(added, Capture, :bind_callback, [site, Syntax.list(values, added), state])
      length(values) <= @most_values -> Syntax.remote(added, Native, :bind, [site | values])
      true -> Syntax.remote(added, Native, :bind_list, [site, Syntax.list(values, added)])
    end
  end
end
