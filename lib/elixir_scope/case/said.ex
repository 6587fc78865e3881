defmodule ElixirScope.Case.Said do
  @moduledoc false
  # What a message says: patterns of `assert_message` and of the steps of flows are held against all of it, and against what is left without
  # that which OTP puts around it.

  alias ElixirScope.Case.{Failure, Known}
  alias ElixirScope.Message

  @doc "The message, and the request of a call or cast, or the answer, that it carries."
  @spec all(term) :: [term]
  def all(content) do
    case {Message.about(content), content} do
      {{:call, _ref}, {_, _, request}} -> [content, request]
      {{kind, _ref}, {_, said}} when kind in [:cast, :reply] -> [content, said]
      _info -> [content]
    end
  end

  @doc "What is known of these, by a matcher and its pattern: whether one of them matches."
  @spec verdict([term], (term -> {:ok, term} | :error), Failure.Expected.t()) :: Known.verdict()
  def verdict(said, matcher, expected),
    do: said |> Stream.map(&Known.value(matcher.(&1), expected, &1)) |> Known.any()

  @doc "What a matcher makes of the first of these that it matches."
  @spec match([term], (term -> {:ok, bound} | :error)) :: {:ok, bound} | :error when bound: term
  def match(said, matcher) do
    Enum.find_value(said, :error, fn value ->
      case matcher.(value) do
        {:ok, bound} -> {:ok, bound}
        :error -> nil
      end
    end)
  end
end
