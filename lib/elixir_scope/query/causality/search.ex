defmodule ElixirScope.Query.Causality.Search do
  @moduledoc false
  # Whether one event happened before another: back from the later one. Of each process it is known up to which of its events the
  # search has come; all earlier ones are before as well. Whatever came in until there leads to other processes. So each
  # edge is gone over once, the way with the fewest edges is found first, and nothing before the earlier event is looked at.

  alias ElixirScope.Event
  alias ElixirScope.Query.{Causality, Past}

  # Up to so many deliveries all messages are read at once; of more, those to the processes that are come to.
  @at_once 300_000

  # What was there before the earlier event tells nothing of it. An event is timed when it happens, so here clocks alone count.
  @clocks 20_000

  @enforce_keys [:past, :from, :to, :named?]
  defstruct [:past, :from, :to, :named?, :everything, reached: %{}, incoming: %{}, hidden: []]

  @type answer ::
          {:before, [Causality.Edges.edge()]}
          | :not_before
          | {:unknown, {:gaps, [map]} | {:messages, [ElixirScope.Message.t()]}}

  @doc "The edges from one event to another, or why there are none. `named?`: deliveries say whom they are from."
  @spec run(Past.t(), Event.t(), Event.t(), boolean) :: {:ok, answer} | {:error, ElixirScope.Error.t()}
  def run(_past, %Event{pid: pid} = from, %Event{pid: pid} = to, _named?) do
    {:ok, if(from.id < to.id, do: {:before, []}, else: :not_before)}
  end

  def run(past, from, to, named?) do
    if from.time > to.time + Causality.Edges.skew() do
      {:ok, :not_before}
    else
      search = %__MODULE__{
        past: past,
        from: from,
        to: to,
        named?: named?,
        everything: everything(past, from, to)
      }

      level(search, [{to.pid, to.id, []}])
    end
  end

  # All at once when they are few, or else nothing yet. What came before the earlier event does not come of it.
  defp everything(past, from, to) do
    since = Causality.Edges.since(past, from.time)
    few? = past |> Past.next(nil, [:receive], 0, since: since) |> Stream.drop(@at_once) |> Enum.empty?()
    if few?, do: Causality.Edges.messages(past, :all, from.time, to.time)
  end

  # Points of one distance from the end: `{pid, number, edges to the end}`.
  defp level(search, []), do: {:ok, nothing(search)}

  defp level(search, points) do
    case Enum.find(points, fn {pid, id, _edges} -> pid == search.from.pid and id >= search.from.id end) do
      {_pid, _id, edges} ->
        {:ok, {:before, edges}}

      nil ->
        with {:ok, search} <- loaded(search, for({pid, _id, _edges} <- points, do: pid)) do
          {search, next} = Enum.reduce(points, {search, %{}}, &expand/2)
          level(search, for({pid, {id, edges}} <- next, do: {pid, id, edges}))
        end
    end
  end

  defp loaded(search, pids) do
    case Enum.reject(pids, &is_map_key(search.incoming, &1)) do
      [] ->
        {:ok, search}

      new ->
        with {:ok, messages} <- read(search, new) do
          incoming =
            Map.new(new, fn pid ->
              {pid, Causality.Edges.incoming(search.past, pid, Map.get(messages, pid, []), search.named?)}
            end)

          {:ok, %{search | incoming: Map.merge(search.incoming, incoming)}}
        end
    end
  end

  defp read(%{everything: nil} = search, pids),
    do: Causality.Edges.messages(search.past, pids, search.from.time, search.to.time)

  defp read(%{everything: everything}, _pids), do: everything

  # What came into a process since the point that was reached in it before.
  defp expand({pid, id, edges}, {search, next}) do
    already = Map.get(search.reached, pid, -1)
    %{edges: incoming, hidden: hidden} = search.incoming[pid]

    if id <= already do
      {search, next}
    else
      new = Enum.filter(incoming, &(&1.to.id > already and &1.to.id <= id and late?(search, &1.from)))
      search = %{search | reached: Map.put(search.reached, pid, id), hidden: hidden(search, hidden, id)}
      {search, Enum.reduce(new, next, &further(&1, edges, &2))}
    end
  end

  defp late?(search, from) do
    if from.pid == search.from.pid,
      do: from.id >= search.from.id,
      else: from.time + Causality.Edges.skew() >= search.from.time
  end

  # Of a process the latest point stands for all before it.
  defp further(edge, edges, next) do
    %{pid: pid, id: id} = edge.from

    case next do
      %{^pid => {later, _edges}} when later >= id -> next
      _none_or_earlier -> Map.put(next, pid, {id, [edge | edges]})
    end
  end

  # Of what came from nobody knows where, that which can have come from the earlier event.
  defp hidden(search, hidden, id) do
    Enum.filter(hidden, &(until?(&1, id) and since?(&1, search.from))) ++ search.hidden
  end

  defp until?(%{delivered: nil}, _id), do: true
  defp until?(%{delivered: delivered}, id), do: delivered.id <= id

  defp since?(%{sent: nil, delivered: nil}, _from), do: true
  defp since?(%{sent: nil, delivered: delivered}, from), do: delivered.time + @clocks >= from.time
  defp since?(%{sent: sent, from: pid}, %Event{pid: pid} = from), do: sent.id >= from.id
  defp since?(%{sent: sent}, from), do: sent.time + @clocks >= from.time

  defp nothing(%{past: past, from: from, to: to, hidden: hidden}) do
    gaps = from.time |> past.gaps.(to.time) |> Enum.reject(&(&1.cause == :removed and &1.to < from.time))

    cond do
      gaps != [] -> {:unknown, {:gaps, gaps}}
      hidden != [] -> {:unknown, {:messages, Enum.uniq(hidden)}}
      true -> :not_before
    end
  end
end
