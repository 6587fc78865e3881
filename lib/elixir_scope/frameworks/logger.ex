defmodule ElixirScope.Frameworks.Logger do
  @moduledoc false
  # A handler of `:logger`: each line that passes becomes an event of the process that wrote it. It runs in that process, and calls
  # nothing that writes lines itself; where the text of a report does (an `Inspect` that logs), those lines are left out.

  alias ElixirScope.{Capture, Frameworks, Native}
  alias ElixirScope.Frameworks.{Arguments, EctoLog, Reasons}

  @id :elixir_scope
  @busy :"$elixir_scope_logging"
  # Bytes of a text.
  @longest 16 * 1024
  # What is in the event already, or says nothing afterwards.
  @left_out [:pid, :gl, :time, :report_cb, :error_logger, :logger_formatter, :conn] ++
              [:__sentry__, :file, :line, :mfa, :module, :function]

  @levels [:debug, :info, :notice, :warning, :error, :critical, :alert, :emergency]

  @doc "The levels, mildest first."
  def levels, do: @levels

  @doc "Records lines of a level and above; `nil`: none. `hidden`: functions of which nothing is recorded; `nil`: secrets are no matter."
  @spec attach(atom | nil, [mfa] | nil) :: :ok
  def attach(nil, _hidden), do: detach()

  def attach(level, hidden) do
    detach()
    level = if level == :debug, do: :all, else: level
    progress = {&:logger_filters.progress/2, :stop}

    config = %{
      level: level,
      filter_default: :log,
      filters: [elixir_scope_progress: progress],
      config: %{redact: hidden != nil, reasons: Reasons.read(hidden || [])}
    }

    _there_already = :logger.add_handler(@id, __MODULE__, config)
    :ok
  end

  @spec detach() :: :ok
  def detach do
    _not_there = :logger.remove_handler(@id)
    :ok
  end

  @doc "Whether lines are recorded."
  @spec attached?() :: boolean
  def attached?, do: match?({:ok, _config}, :logger.get_handler_config(@id))

  @doc "Called by `:logger`, in the process that writes."
  def log(%{level: level, msg: message, meta: metadata}, config) do
    if Frameworks.on?() and not left_out?(metadata), do: written(level, message, metadata, rules(config))
    :ok
  end

  def log(_other, _config), do: :ok

  defp rules(%{config: %{redact: _, reasons: _} = rules}), do: rules
  defp rules(_config), do: %{redact: true, reasons: nil}

  # Lines of another node are that node's.
  defp left_out?(%{gl: leader}) when node(leader) != node(), do: true
  defp left_out?(_metadata), do: :erlang.get(@busy) != :undefined

  # `:logger` takes a handler away that fails.
  defp written(level, message, metadata, rules) do
    :erlang.put(@busy, true)
    {text, metadata} = level |> text(message, metadata) |> open(metadata, rules)
    record(level, text, kept(metadata), :maps.get(:pid, metadata, self()))
  rescue
    error -> record(level, "a line whose text cannot be made: #{inspect(error.__struct__)}", %{}, self())
  catch
    _kind, _reason -> record(level, "a line whose text cannot be made", %{}, self())
  after
    :erlang.erase(@busy)
  end

  defp open(text, metadata, %{redact: true, reasons: reasons}) when is_binary(text) do
    cut? = byte_size(text) >= @longest
    text |> EctoLog.without(metadata) |> Arguments.dropped() |> Reasons.dropped(metadata, cut?, reasons)
  end

  defp open(text, metadata, _rules), do: {text, metadata}

  defp record(_level, nil, _metadata, _pid), do: :ok

  defp record(level, text, metadata, pid) when pid == self() do
    if Native.log(level, text, metadata) == :new, do: Capture.introduce(:new, [])
    :ok
  end

  # The VM's own process writes what a process has ended with.
  defp record(level, text, metadata, pid) when is_pid(pid), do: Native.log(level, text, metadata, pid)
  defp record(level, text, metadata, _unknown), do: record(level, text, metadata, self())

  defp kept(metadata), do: :maps.merge(:maps.without(@left_out, metadata), place(metadata))

  defp place(metadata) do
    place = :maps.with([:file, :line, :mfa], metadata)

    case place do
      %{file: file} when is_list(file) -> %{place | file: List.to_string(file)}
      _other -> place
    end
  end

  defp text(_level, {:string, text}, _metadata), do: bounded(text)
  defp text(level, {:report, report}, metadata), do: level |> report(report, metadata) |> bounded()

  defp text(_level, {format, arguments}, _metadata),
    do: format |> :io_lib.format(arguments, chars_limit: @longest) |> bounded()

  # Before Elixir 1.15 reports come as OTP makes them, later in Elixir's words.
  defp report(level, report, metadata) do
    case translated(level, report) do
      :none -> untranslated(report, metadata)
      text -> text
    end
  end

  defp translated(level, %{label: label, report: report} = whole) when map_size(whole) == 2,
    do: translate(level, :report, {label, report})

  defp translated(level, %{label: {:error_logger, _}, format: format, args: arguments}),
    do: translate(level, :format, {format, arguments})

  defp translated(level, %{label: _} = report), do: translate(level, :report, {:logger, report})
  defp translated(_level, _of_the_program), do: :none

  defp translate(level, kind, report) do
    case apply(Logger.Translator, :translate, [:debug, level, kind, report]) do
      {:ok, text, _metadata} -> text
      {:ok, text} -> text
      _none_or_skip -> :none
    end
  end

  defp untranslated(report, %{report_cb: make}) when is_function(make, 1) do
    {format, arguments} = make.(report)
    :io_lib.format(format, arguments, chars_limit: @longest)
  end

  defp untranslated(report, %{report_cb: make}) when is_function(make, 2),
    do: make.(report, %{depth: 50, chars_limit: @longest, single_line: false})

  defp untranslated(%{__struct__: _} = report, _metadata), do: inspected(report)
  defp untranslated(%{} = report, _metadata), do: report |> :maps.to_list() |> inspected()
  defp untranslated(report, _metadata), do: inspected(report)

  defp inspected(report), do: inspect(report, limit: 100, printable_limit: @longest)

  # The text, or so much of it; what is no text is shown as the term that it is.
  defp bounded(text) do
    case taken(text, @longest, []) do
      {parts, left} when left > 0 -> parts |> :lists.reverse() |> valid()
      {parts, _none} -> [" ... (cut)" | parts] |> :lists.reverse() |> valid()
    end
  catch
    :no_text -> inspected(text)
  end

  defp valid(parts) do
    case :unicode.characters_to_binary(parts) do
      text when is_binary(text) -> text
      {_error, text, _rest} -> text <> " ... (cut)"
    end
  end

  defp taken(_rest, left, parts) when left <= 0, do: {parts, left}
  defp taken([], left, parts), do: {parts, left}

  defp taken(text, left, parts) when is_binary(text) and byte_size(text) <= left,
    do: {[text | parts], left - byte_size(text)}

  defp taken(text, left, parts) when is_binary(text), do: {[:erlang.binary_part(text, 0, left) | parts], 0}
  defp taken(character, left, parts) when is_integer(character), do: {[character | parts], left - 1}

  defp taken([first | rest], left, parts) do
    {parts, left} = taken(first, left, parts)
    taken(rest, left, parts)
  end

  defp taken(_other, _left, _parts), do: throw(:no_text)
end
