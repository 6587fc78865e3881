defmodule ElixirScope.Query.Exits.Steps do
  @moduledoc false
  # What a chain of exits is made of while it is made: the newest step first, from its end.

  alias ElixirScope.{Event, ExitChain, Life, Recording, Text}
  alias ElixirScope.ExitChain.Step

  # What is looked up once for a chain.
  defstruct [:recording, :gaps, :limit]

  @type t :: %__MODULE__{recording: Recording.t(), gaps: [map], limit: pos_integer}

  @typedoc "A reason that may explain an exit: of the process, by its life and its numbers. `nil`: it does not."
  @type reason ::
          (ExitChain.t(), {t, Life.t(), ElixirScope.Query.Server.numbers()}, Event.t() -> ExitChain.t() | nil)

  @doc "A step more."
  @spec add(ExitChain.t(), Step.t()) :: ExitChain.t()
  def add(chain, step), do: %{chain | steps: [step | chain.steps]}

  @doc "It goes no further."
  @spec ends(ExitChain.t(), ExitChain.reason(), String.t()) :: ExitChain.t()
  def ends(chain, reason, why), do: %{chain | ends: reason, why: why}

  @doc "As `ends/3`, at its limit."
  @spec limited(ExitChain.t(), pos_integer) :: ExitChain.t()
  def limited(chain, limit) do
    ends(
      chain,
      :limit,
      "the chain has #{limit} steps, as many as limit: allows; with a higher one it goes on"
    )
  end

  @doc "The chain in the order of the story."
  @spec in_order(ExitChain.t(), pos_integer) :: ExitChain.t()
  def in_order(%ExitChain{steps: steps} = chain, limit) do
    chain = if length(steps) > limit, do: limited(chain, limit), else: chain
    %{chain | steps: steps |> Enum.reverse() |> Enum.take(limit)}
  end

  @doc "Since when a life is known."
  @spec since(Life.t()) :: non_neg_integer
  def since(life), do: Life.since(life) || 0

  @doc "A process in words, at a time."
  @spec name(t, pid, non_neg_integer) :: String.t()
  def name(about, pid, time), do: Text.process(about.recording, pid, time)
end
