# What a `receive` becomes, with [..] for what stands there only when it is needed:
#
#     [T = Timeout,]
#     case Native:wait(Site) of ok -> ok; U1 -> Capture:introduce(U1, Sources()) end,
#     receive
#       Pattern = Got when Guard -> case Native:take(SiteOfClause, Got) of .. end, <the body>
#     after
#       T -> case Native:expired(SiteOfAfter) of .. end, <the body>
#     end
#
# The VM knows no line of a `receive`. Where a process waits, and where a timeout that is none raises, it believes the call that
# comes before in the object code; so the calls that are added have the line of the one before them.
#
# Nothing stands between the messages and their patterns: which message is taken, and that the compiler skips those that came
# before a fresh reference, is as it was. A message is recorded once it has left the mailbox.
#
# A process may wait while a recording begins, so any of these may be the first event of its process.
defmodule ElixirScope.Instrument.Reception do
  @moduledoc false

  alias ElixirScope.Instrument.{Frame, Plan, Site, Syntax}
  alias ElixirScope.Native

  @enforce_keys [:plan, :frame, :clause, :origin, :prefix, :ordinal, :before]
  defstruct @enforce_keys

  @typedoc """
  Where a `receive` stands: the frame that it is recorded under, the clause of that, which `receive` of the function it is, and
  the place of the call before what is added.
  """
  @type t :: %__MODULE__{
          plan: Plan.t(),
          frame: {atom(), arity()},
          clause: non_neg_integer(),
          origin: Site.origin(),
          prefix: String.t(),
          ordinal: pos_integer(),
          before: :erl_anno.anno()
        }

  @doc "A clause that records the message it takes, at the place of `anno`. `number` counts the clauses from 1."
  @spec clause(tuple(), pos_integer(), :erl_anno.anno(), t()) :: tuple()
  def clause({:clause, anno, [pattern], guards, body}, number, place, %__MODULE__{} = reception) do
    got = {:var, Syntax.generated(anno), name("Got", number, reception)}
    taken = recorded(:take, number, [got], place, reception)
    {:clause, anno, [{:match, Syntax.generated(anno), pattern, got}], guards, [taken | body]}
  end

  @doc "What stands behind `after`, and records that it does. `anno` is that of the whole."
  @spec late([tuple()], timeout :: tuple(), :erl_anno.anno(), t()) :: [tuple()]
  def late(body, timeout, anno, %__MODULE__{} = reception),
    do: [recorded(:expired, :after, [], place(timeout, anno), reception) | body]

  @doc "The whole, whose parts record already."
  @spec put(tuple(), t()) :: tuple()
  def put({:receive, anno, _clauses} = whole, %__MODULE__{} = reception) do
    {:block, Syntax.generated(anno), [recorded(:wait, 0, [], anno, reception), whole]}
  end

  # The timeout is found out before anything waits, and may raise.
  def put({:receive, anno, clauses, timeout, late}, %__MODULE__{} = reception) do
    {first, timeout} = evaluated(timeout, reception)
    whole = {:receive, anno, clauses, timeout, late}
    {:block, Syntax.generated(anno), first ++ [recorded(:wait, 0, [], anno, reception), whole]}
  end

  defp evaluated({kind, _, _} = timeout, _reception) when kind in [:atom, :integer, :var], do: {[], timeout}

  defp evaluated(timeout, reception) do
    variable = {:var, elem(timeout, 1), name("Timeout", 0, reception)}
    {[{:match, Syntax.generated(elem(timeout, 1)), variable, timeout}], variable}
  end

  # `after` has no place of its own, but what stands behind it has one.
  defp place(timeout, anno) do
    timeout = elem(timeout, 1)
    if :erl_anno.line(timeout) > 0, do: timeout, else: anno
  end

  defp recorded(function, part, values, anno, %__MODULE__{} = reception) do
    added = Syntax.generated(reception.before)
    {name, arity} = reception.frame
    mfa = {reception.plan.module, name, arity}
    site = Site.reception(mfa, {reception.ordinal, part, reception.clause}, reception.origin, anno)
    call = Syntax.remote(added, Native, function, [Syntax.literal(site, added) | values])
    Frame.introduced(call, {:var, added, name("Unknown", part, reception)}, added, reception.plan)
  end

  defp name(role, part, %__MODULE__{prefix: prefix, ordinal: ordinal}),
    do: :"#{prefix}#{role}#{ordinal}_#{part}"
end
