# What a `receive` becomes, with [..] for what stands there only when it is needed:
#
#     [T = Timeout,
#     case T of infinity -> ok; T when is_integer(T), T >= 0, T < 1 bsl 32 -> ok; _ -> receive after T -> ok end end,]
#     case Native:wait(Site) of ok -> ok; U1 -> Capture:introduce(U1, Sources()) end,
#     receive
#       Pattern = Got when Guard -> case Native:take(SiteOfClause, Got) of .. end, <the body>
#     after
#       T -> case Native:expired(SiteOfAfter) of .. end, <the body>
#     end
#
# A timeout that is none raises before anything waits. The VM knows no line of a `receive`, but takes it from the call that comes
# before in the object code; that one is to be a call of the user's. For the same reason all calls that are added have the line
# of the whole.
#
# Nothing stands between the messages and their patterns: which message is taken, and that the compiler skips those that came
# before a fresh reference, is as it was. A message is recorded once it has left the mailbox.
#
# A process may wait while a recording begins, so any of these may be the first event of its process.
defmodule ElixirScope.Instrument.Reception do
  @moduledoc false

  alias ElixirScope.Instrument.{Frame, Plan, Site, Syntax}
  alias ElixirScope.Native

  @enforce_keys [:plan, :frame, :clause, :origin, :prefix, :ordinal, :anno]
  defstruct @enforce_keys

  @longest 0xFFFFFFFF

  @typedoc "Where a `receive` stands: the frame that it is recorded under, the clause of that, and which `receive` of the function."
  @type t :: %__MODULE__{
          plan: Plan.t(),
          frame: {atom(), arity()},
          clause: non_neg_integer(),
          origin: Site.origin(),
          prefix: String.t(),
          ordinal: pos_integer(),
          anno: :erl_anno.anno()
        }

  @doc "A clause that records the message it takes, at the place of `anno`. `number` counts the clauses from 1."
  @spec clause(tuple(), pos_integer(), :erl_anno.anno(), t()) :: tuple()
  def clause({:clause, anno, [pattern], guards, body}, number, place, %__MODULE__{} = reception) do
    got = {:var, Syntax.generated(anno), name("Got", number, reception)}
    taken = recorded(:take, number, [got], place, reception)
    {:clause, anno, [{:match, Syntax.generated(anno), pattern, got}], guards, [taken | body]}
  end

  @doc "The whole, whose clauses record already."
  @spec put(tuple(), t()) :: tuple()
  def put({:receive, anno, _clauses} = whole, reception) do
    {:block, Syntax.generated(anno), [recorded(:wait, 0, [], anno, reception), whole]}
  end

  # The timeout is found out before anything waits, and may raise.
  def put({:receive, anno, clauses, timeout, late}, reception) do
    added = Syntax.generated(anno)
    {before, timeout} = evaluated(timeout, reception)
    expired = recorded(:expired, :after, [], place(timeout, anno), reception)

    {:block, added,
     before ++
       [recorded(:wait, 0, [], anno, reception), {:receive, anno, clauses, timeout, [expired | late]}]}
  end

  defp evaluated({:atom, _, :infinity} = timeout, _reception), do: {[], timeout}
  defp evaluated({:integer, _, ms} = timeout, _reception) when ms in 0..@longest, do: {[], timeout}
  defp evaluated({:var, _, _} = timeout, reception), do: {[checked(timeout, reception)], timeout}

  defp evaluated(timeout, reception) do
    variable = {:var, elem(timeout, 1), name("Timeout", 0, reception)}
    matched = {:match, Syntax.generated(elem(timeout, 1)), variable, timeout}
    {[matched, checked(variable, reception)], variable}
  end

  defp checked(timeout, %__MODULE__{anno: anno} = reception) do
    added = Syntax.generated(anno)
    number = {:var, added, name("Milliseconds", 0, reception)}
    test = fn operator, limit -> {:op, added, operator, number, {:integer, added, limit}} end
    is_integer = Syntax.remote(added, :erlang, :is_integer, [number])
    ok = {:atom, added, :ok}

    {:case, added, timeout,
     [
       Syntax.clause(added, {:atom, added, :infinity}, [ok]),
       {:clause, added, [number], [[is_integer, test.(:>=, 0), test.(:"=<", @longest)]], [ok]},
       Syntax.clause(added, {:var, added, :_}, [{:receive, added, [], timeout, [ok]}])
     ]}
  end

  # `after` has no place of its own, but what stands behind it has one.
  defp place(timeout, anno) do
    timeout = elem(timeout, 1)
    if :erl_anno.line(timeout) > 0, do: timeout, else: anno
  end

  defp recorded(function, part, values, anno, %__MODULE__{} = reception) do
    added = Syntax.generated(reception.anno)
    {name, arity} = reception.frame
    mfa = {reception.plan.module, name, arity}
    site = Site.reception(mfa, {reception.ordinal, part, reception.clause}, reception.origin, anno)
    call = Syntax.remote(added, Native, function, [Syntax.literal(site, added) | values])
    Frame.introduced(call, {:var, added, name("Unknown", part, reception)}, added, reception.plan)
  end

  defp name(role, part, %__MODULE__{prefix: prefix, ordinal: ordinal}),
    do: :"#{prefix}#{role}#{ordinal}_#{part}"
end
