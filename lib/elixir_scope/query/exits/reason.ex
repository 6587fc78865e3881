defmodule ElixirScope.Query.Exits.Reason do
  @moduledoc false
  # What the reason of an exit says by itself.

  alias ElixirScope.Cut

  @calls [
    {GenServer, :call},
    {:gen_server, :call},
    {:gen_statem, :call},
    {:gen_event, :call},
    {GenStage, :call},
    {Task, :await},
    {Task, :await_many}
  ]

  @doc "The call to another process that failed: `{why, whom, request}`."
  @spec failed_call(term) :: {term, term, term} | nil
  def failed_call({why, {module, function, [server | rest]}}) when {module, function} in @calls,
    do: {why, target(server), request(module, rest)}

  def failed_call(_reason), do: nil

  defp target(%{__struct__: Task, pid: pid}), do: pid
  defp target(server), do: server

  defp request(Task, _timeout), do: nil
  defp request(_module, [request | _]), do: request
  defp request(_module, _none), do: nil

  @doc "Where something was raised that nobody caught: the exception and its stack."
  @spec crash(term) :: {term, [tuple]} | nil
  def crash({raised, [{module, function, _, location} | _] = stack})
      when is_atom(module) and is_atom(function) and is_list(location),
      do: {raised, stack}

  def crash(_reason), do: nil

  @doc """
  Whether two reasons are the same as far as they were recorded: a limit may have kept out more of one than of the other, since it
  stood deeper in what was recorded.
  """
  @spec same?(term, term) :: boolean
  def same?(same, same), do: true
  def same?(%Cut{} = cut, other), do: Cut.may_equal?(cut, other)
  def same?(other, %Cut{} = cut), do: Cut.may_equal?(cut, other)
  def same?([one | more], [other | others]), do: same?(one, other) and same?(more, others)

  def same?(one, other) when is_tuple(one) and is_tuple(other) and tuple_size(one) == tuple_size(other),
    do: same?(Tuple.to_list(one), Tuple.to_list(other))

  def same?(one, other) when is_map(one) and is_map(other) and map_size(one) == map_size(other),
    do: Enum.all?(one, fn {key, value} -> is_map_key(other, key) and same?(value, Map.fetch!(other, key)) end)

  def same?(_one, _other), do: false

  @doc "Whether an exit signal with one reason ends a process with the other."
  @spec signal?(term, term) :: boolean
  def signal?(:kill, :killed), do: true
  def signal?(sent, reason), do: same?(sent, reason)

  @doc "Whether supervisors end their children so."
  @spec shutdown?(term) :: boolean
  def shutdown?(reason), do: reason in [:shutdown, :killed]

  @doc "A stack's own function, where it is."
  @spec place([tuple]) :: String.t()
  def place([{module, function, arity, location} | _]) do
    arity = if is_list(arity), do: length(arity), else: arity
    where = if location[:file], do: " (#{location[:file]}:#{location[:line]})", else: ""
    Exception.format_mfa(module, function, arity) <> where
  end
end
