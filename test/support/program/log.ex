# What a program with probes writes down of itself: the truth that a recording is compared with. It lies in the process
# dictionary, in the order in which things happened.
defmodule ElixirScope.Program.Log do
  @moduledoc false

  @typedoc """
  `mfa` is that of the function. An anonymous one has `{:fn, "f/1", line}` for its name: the function around it, and the
  line that it begins in.
  """
  @type entry ::
          {:call, mfa :: tuple(), [term()]}
          | {:return, mfa :: tuple(), term()}
          | {:raise, mfa :: tuple(), :error | :exit | :throw, term()}
          | {:bind, mfa :: tuple(), line :: pos_integer(), keyword()}
          | {:wait, mfa :: tuple(), lines :: [pos_integer()]}
          | {:take, mfa :: tuple(), lines :: [pos_integer()], {:ok, message :: term()} | nil}

  @doc "Calls a function, and notes the call and its end."
  @spec frame(tuple(), [term()], (() -> term())) :: term()
  def frame(mfa, args, fun) do
    note({:call, mfa, args})

    try do
      fun.()
    catch
      kind, reason ->
        note({:raise, mfa, kind, reason})
        :erlang.raise(kind, reason, __STACKTRACE__)
    else
      value ->
        note({:return, mfa, value})
        value
    end
  end

  @doc "Notes variables that were bound."
  @spec bind(tuple(), pos_integer(), keyword()) :: true
  def bind(mfa, line, variables) do
    note({:bind, mfa, line, variables})
    true
  end

  @doc "Notes that a `receive` begins, with the lines that it may be said to stand in."
  @spec wait(tuple(), [pos_integer()]) :: true
  def wait(mfa, lines) do
    note({:wait, mfa, lines})
    true
  end

  @doc "Notes what a `receive` took: `{:ok, message}`, or `nil`."
  @spec take(tuple(), [pos_integer()], {:ok, term()} | nil) :: true
  def take(mfa, lines, taken) do
    note({:take, mfa, lines, taken})
    true
  end

  defp note(entry), do: Process.put(__MODULE__, [entry | Process.get(__MODULE__, [])])

  @doc "Everything that the calling process has noted."
  @spec entries() :: [entry()]
  def entries, do: __MODULE__ |> Process.get([]) |> Enum.reverse()
end
