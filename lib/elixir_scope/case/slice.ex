defmodule ElixirScope.Case.Slice do
  @moduledoc false
  # What a function did in a test, as an `ElixirScope.Trace`.

  alias ElixirScope.Case.{Failure, Quiet, Scope}
  alias ElixirScope.{Native, Trace}
  alias ElixirScope.Query.Server

  @doc "Runs a function, waits until the test's processes are quiet, and gives what was recorded meanwhile."
  @spec record((() -> term)) :: Trace.t()
  def record(fun) when is_function(fun, 0) do
    since = Native.now()
    result = fun.()
    unsettled = Quiet.unsettled(Quiet.settle())
    until = Native.now()

    case Scope.family() do
      {:ok, family} ->
        %Trace{
          recording: family.recording,
          pids: active(family, since, until),
          since: since,
          until: until,
          test: family.test,
          result: result,
          unsettled: unsettled
        }

      {:error, error} ->
        Failure.impossible(error.message)
    end
  end

  def record(other) do
    raise ArgumentError,
          "record expects a function without arguments, such as fn -> Shop.checkout(cart) end; got: #{inspect(other)}"
  end

  # Of those that did nothing meanwhile there is nothing to be asked; the test itself is asked for in any case.
  defp active(%{recording: recording, pids: pids, test: test}, since, until) do
    active =
      Enum.filter(pids, fn pid ->
        with {:ok, process} <- Server.numbers(pid) do
          filter = %{kinds: [], processes: [process], sites: nil, since: since, until: until}
          match?({[_event], _next}, Native.events(recording.handle, filter, 0, 1))
        else
          :error -> false
        end
      end)

    Enum.uniq([test | active])
  end
end
