defmodule ElixirScope.Query.Mark do
  @moduledoc false
  # Bookmarks. One that is set now is an event of the process that sets it. One that is set afterwards, or while nothing is
  # recorded, is a line of the file `bookmarks` in the folder of the run, since no event can be added to the past:
  #
  #     nanoseconds, a space, `atom` or `string`, a space, the label in the encoding of URIs, a line feed

  alias ElixirScope.{Capture, Error, Event, Mark, Native, Query, Recorder, Recording, Text}
  alias ElixirScope.Query.Moment

  @file_name "bookmarks"
  @longest 255

  @doc "See `ElixirScope.mark/2`."
  @spec set(Mark.label(), keyword) :: :ok | {:error, Error.t()}
  def set(label, options) do
    with :ok <- check(label), :ok <- Query.check(options, [:at, :in]) do
      if options == [], do: now(label), else: afterwards(label, options)
    end
  end

  defp check(label) when label in [nil, true, false], do: bad(label)
  defp check(label) when is_atom(label), do: short(label, Atom.to_string(label))

  defp check(label) when is_binary(label),
    do: if(String.valid?(label), do: short(label, label), else: bad(label))

  defp check(label), do: bad(label)

  # A longer one would be cut when it is recorded, and never be found again.
  defp short(_label, text) when byte_size(text) <= @longest, do: :ok

  defp short(label, text) do
    Error.new(
      :bad_option,
      "expected the label of a mark in at most #{@longest} bytes, got one of #{byte_size(text)}: " <>
        "#{Text.short(label, width: 40)}; give it a shorter name"
    )
  end

  defp bad(label) do
    Error.new(:bad_option, "expected the label of a mark as an atom or a string, got: #{inspect(label)}")
  end

  defp now(label) do
    case Native.mark(label) do
      :ok ->
        :ok

      :new ->
        Capture.introduce(:new, [])
        # Nothing of such a process is recorded: the mark is nobody's, as its later ones are.
        if Capture.sensitive?(), do: keep_now(label), else: :ok

      # Paused, out of room, or of a process that asks not to be looked at.
      false ->
        keep_now(label)
    end
  end

  defp keep_now(label) do
    with {:ok, recording} <- Recorder.current() do
      now = Native.now()
      with :ok <- running(recording, now), do: keep(recording, label, now)
    end
  end

  defp running(recording, now) do
    with {:error, _not_within} <- Query.within(recording, now) do
      Error.new(
        :not_recording,
        "nothing is recorded now, so there is nothing to mark; begin with ElixirScope.start(), or mark a moment of the past: " <>
          "ElixirScope.mark(label, at: time)"
      )
    end
  end

  defp afterwards(label, options) do
    with {:ok, recording} <- Query.recording(Keyword.take(options, [:in])),
         {:ok, time} <- moment(recording, options),
         :ok <- Query.within(recording, time) do
      keep(recording, label, time)
    end
  end

  defp moment(recording, options) do
    case Keyword.fetch(options, :at) do
      {:ok, time} ->
        Moment.find(recording, time)

      :error when recording.live? ->
        {:ok, Native.now()}

      :error ->
        Error.new(
          :bad_option,
          "expected at: the time that the mark stands for, since #{recording.path} is past"
        )
    end
  end

  defp keep(recording, label, time) do
    line = "#{time} #{kind(label)} #{URI.encode(to_string(label), &URI.char_unreserved?/1)}\n"

    case File.write(path(recording), line, [:append]) do
      :ok ->
        :ok

      {:error, reason} ->
        Error.new(
          :not_writable,
          "the mark cannot be kept in #{path(recording)}: #{:file.format_error(reason)}; give the user who runs this VM the " <>
            "right to write there"
        )
    end
  end

  defp kind(label) when is_atom(label), do: "atom"
  defp kind(_label), do: "string"

  @doc "See `ElixirScope.marks/1`."
  @spec list(keyword) :: {:ok, [Mark.t()]} | {:error, Error.t()}
  def list(options) do
    with :ok <- Query.check(options, [:in]), {:ok, recording} <- Query.recording(options) do
      {:ok, all(recording)}
    end
  end

  @doc "All bookmarks of a recording, by time."
  @spec all(Recording.t()) :: [Mark.t()]
  def all(recording) do
    recorded =
      recording.handle |> Native.marks() |> Enum.map(&Event.from_native/1) |> Enum.flat_map(&recorded/1)

    # Stable: those of one time stay in the order in which they were set.
    Enum.sort_by(recorded ++ kept(recording), & &1.time)
  end

  defp recorded(%Event{data: %{label: label}} = event) do
    [%Mark{label: label, time: event.time, pid: event.pid, id: event.id}]
  end

  # Its bytes did not follow the format.
  defp recorded(_event), do: []

  defp kept(recording) do
    case File.read(path(recording)) do
      {:ok, lines} -> lines |> String.split("\n", trim: true) |> Enum.flat_map(&parse/1)
      {:error, _none} -> []
    end
  end

  # A line that a crash has cut short is left out.
  defp parse(line) do
    with [time, kind, label] when kind in ["atom", "string"] <- String.split(line, " "),
         {time, ""} <- Integer.parse(time),
         label = URI.decode(label),
         true <- String.valid?(label) do
      [%Mark{label: label(kind, label), time: time}]
    else
      _other -> []
    end
  end

  # An atom that this VM does not know is not made for it.
  defp label("atom", label) do
    String.to_existing_atom(label)
  rescue
    ArgumentError -> label
  end

  defp label("string", label), do: label

  defp path(recording), do: Path.join(recording.path, @file_name)

  @doc "The newest bookmark with a label; an atom and its text are the same label."
  @spec find(Recording.t(), Mark.label()) :: {:ok, Mark.t()} | {:error, Error.t()}
  def find(recording, label) do
    marks = all(recording)

    case marks |> Enum.filter(&(text(&1.label) == text(label))) |> List.last() do
      nil -> unknown(label, marks)
      mark -> {:ok, mark}
    end
  end

  defp text(label) when is_atom(label) or is_binary(label), do: to_string(label)
  defp text(label), do: label

  defp unknown(label, marks) do
    Error.new(
      :unknown_mark,
      "expected a time: the label of a mark, nanoseconds, a DateTime, an ElixirScope.Event or {:ago, 5, :second}, got: " <>
        "#{inspect(label)}; #{known(marks)}"
    )
  end

  defp known([]), do: "the recording has no marks; ElixirScope.mark(label) sets one"

  defp known(marks) do
    labels = marks |> Enum.map(&inspect(&1.label)) |> Enum.uniq()
    more = if length(labels) > 20, do: " and #{length(labels) - 20} more", else: ""
    "the marks are #{labels |> Enum.take(-20) |> Enum.join(", ")}#{more}"
  end
end
