defmodule ElixirScope.Text do
  @moduledoc """
  Times, processes, functions and terms as people read them. Everything that ElixirScope shows is made of these.

  Nothing here is coloured unless it is asked for: `color:` is `true`, or the `Inspect.Opts` that came with the term. Times are of the
  wall clock in UTC.
  """

  alias ElixirScope.Recording
  alias ElixirScope.Text.{Names, Struct, Width}

  # What a term may take on a line before it is shown with fewer of its elements.
  @width 80
  # What is shown of a collection when nobody asks for more or less; each Elixir has its own.
  @usual max(%Inspect.Opts{}.limit, 50)

  @doc """
  The wall clock at a time.

      iex> ElixirScope.Text.clock(1_767_225_600_000_001_999)
      "00:00:00.000001"
  """
  @spec clock(integer) :: String.t()
  def clock(ns), do: format(ns, "%H:%M:%S.%f")

  @doc """
  The day and the wall clock at a time.

      iex> ElixirScope.Text.date(1_767_225_600_000_001_999)
      "2026-01-01 00:00:00.000001 UTC"
  """
  @spec date(integer) :: String.t()
  def date(ns), do: format(ns, "%Y-%m-%d %H:%M:%S.%f UTC")

  @doc """
  A time as it is seen from another: the wall clock, with the day when that is another one, and how long ago it was.

      iex> ElixirScope.Text.moment(1_767_225_600_000_001_000, 1_767_225_602_100_001_000)
      "00:00:00.000001, 2.10 s ago"
      iex> ElixirScope.Text.moment(1_767_225_600_000_001_000, 1_767_325_600_000_001_000)
      "2026-01-01 00:00:00.000001, 1 d 3 h ago"
  """
  @spec moment(integer, integer) :: String.t()
  def moment(ns, now) do
    format = if day(ns) == day(now), do: "%H:%M:%S.%f", else: "%Y-%m-%d %H:%M:%S.%f"
    "#{format(ns, format)}, #{ago(ns, now)}"
  end

  @doc """
  How far a time lies back.

      iex> {ElixirScope.Text.ago(1_000, 3_500), ElixirScope.Text.ago(9_000, 9_000), ElixirScope.Text.ago(9_000, 8_000)}
      {"2.5 µs ago", "now", "in 1.0 µs"}
  """
  @spec ago(integer, integer) :: String.t()
  def ago(ns, ns), do: "now"
  def ago(ns, now) when ns < now, do: "#{duration(now - ns)} ago"
  def ago(ns, now), do: "in #{duration(ns - now)}"

  @doc """
  A span of time in the unit that fits.

      iex> for ns <- [850, 12_300, 2_345_678, 3_000_000_000, 125_000_000_000, 11_520_000_000_000],
      ...>     do: ElixirScope.Text.duration(ns)
      ["850 ns", "12.3 µs", "2.35 ms", "3.00 s", "2 min 5 s", "3 h 12 min"]
  """
  @spec duration(non_neg_integer) :: String.t()
  def duration(ns) when ns < 1_000, do: "#{ns} ns"
  def duration(ns) when ns < 999_950, do: "#{decimal(ns / 1_000, 1)} µs"
  def duration(ns) when ns < 999_995_000, do: "#{decimal(ns / 1_000_000, 2)} ms"
  def duration(ns) when ns < 59_995_000_000, do: "#{decimal(ns / 1_000_000_000, 2)} s"
  def duration(ns), do: ns |> div(1_000_000_000) |> long()

  defp long(s) when s < 3_600, do: "#{div(s, 60)} min #{rem(s, 60)} s"
  defp long(s) when s < 86_400, do: "#{div(s, 3_600)} h #{div(rem(s, 3_600), 60)} min"
  defp long(s), do: "#{div(s, 86_400)} d #{div(rem(s, 86_400), 3_600)} h"

  @doc """
  An integer with its thousands apart.

      iex> ElixirScope.Text.number(1_234_567)
      "1,234,567"
  """
  @spec number(integer) :: String.t()
  def number(integer), do: integer |> Integer.to_string() |> String.replace(~r/(?<=\d)(?=(\d{3})+$)/, ",")

  @doc "A float with so many digits after the point."
  @spec decimal(float, non_neg_integer) :: String.t()
  def decimal(float, digits), do: :erlang.float_to_binary(float, decimals: digits)

  @doc """
  A process: its registered name, or its label or the module that it runs with its pid, or its pid alone.

  Who it was is looked up in the recording; without one it is shown by its pid. With a time it is the process that had the
  pid then.

      iex> ElixirScope.Text.process(nil, nil)
      "no process"
  """
  @spec process(Recording.t() | nil, pid | nil, integer | nil) :: String.t()
  def process(recording, pid, time \\ nil)
  def process(_recording, nil, _time), do: "no process"
  def process(recording, pid, time), do: Names.text(recording, pid, time)

  @doc """
  A term on one line, with fewer of its elements the longer it is. A struct whose own `Inspect` fails, because it was
  made by another version of its module, is shown as the map that it is.

  | option | default | meaning |
  |---|---|---|
  | `:width` | #{@width} | characters that it may take |
  | `:limit` | 8 | elements that are shown of a collection |
  | `:color` | `false` | whether it is coloured, or the `Inspect.Opts` that say so |

      iex> ElixirScope.Text.short(Enum.to_list(1..100))
      "[1, 2, 3, 4, 5, 6, 7, 8, ...]"
      iex> ElixirScope.Text.short(String.duplicate("long ", 100), width: 20)
      ~S("long long long l...)
      iex> {left_out, redacted} = {%ElixirScope.Cut{kind: :left_out}, %ElixirScope.Cut{kind: :redacted}}
      iex> ElixirScope.Text.short(%Version{major: 1, minor: 2, patch: 3, pre: left_out, build: redacted})
      "%Version{build: #Redacted<>, major: 1, minor: 2, patch: 3, 1 left out}"
  """
  @spec short(term, keyword) :: String.t()
  def short(term, options \\ []) do
    width = Keyword.get(options, :width, @width)
    limit = Keyword.get(options, :limit, 8)
    limits = [limit | Enum.filter([7, 6, 5, 4, 3, 2, 1], &(&1 < limit))]

    case Enum.find_value(limits, &fitting(term, &1, width)) do
      nil -> term |> inspected(List.last(limits), width, []) |> cut(width)
      {limit, plain} -> colored(term, limit, width, colors(options), plain)
    end
  end

  defp fitting(term, limit, width) do
    plain = inspected(term, limit, width, [])
    if width == :infinity or width(plain) <= width, do: {limit, plain}
  end

  defp colored(_term, _limit, _width, [], plain), do: plain
  defp colored(term, limit, width, colors, _plain), do: inspected(term, limit, width, colors)

  defp inspected(term, limit, width, colors) do
    options = [
      limit: limit,
      printable_limit: printable(width),
      width: :infinity,
      syntax_colors: colors,
      inspect_fun: &Struct.document/2,
      # Keys of maps in their order, whatever the VM's own is.
      custom_options: [sort_maps: true]
    ]

    term |> safely(options) |> String.replace(~r/\s*\n\s*/, " ")
  end

  defp printable(:infinity), do: :infinity
  defp printable(width), do: max(width, 16)

  # An `Inspect` that is not made for this value must not take the answer with it.
  defp safely(term, options) do
    inspect(term, [safe: false] ++ options)
  rescue
    _any -> inspect(term, [structs: false] ++ options)
  catch
    _kind, _any -> inspect(term, [structs: false] ++ options)
  end

  # Each character takes a column or more.
  defp cut(text, width), do: text |> String.slice(0, max(width - 3, 1)) |> narrowed(max(width - 3, 1))

  defp narrowed(text, width) do
    case width(text) - width do
      over when over > 0 ->
        text |> String.slice(0, max(String.length(text) - div(over + 1, 2), 1)) |> narrowed(width)

      _fits ->
        text <> "..."
    end
  end

  @doc """
  A function.

      iex> ElixirScope.Text.mfa({Cart, :add, 2})
      "Cart.add/2"
      iex> ElixirScope.Text.mfa({Cart, :"total/1-fn-0", 1})
      "fn/1 in Cart.total/1"
  """
  @spec mfa(mfa) :: String.t()
  def mfa({module, function, arity}) do
    case outer(function) do
      nil -> Exception.format_mfa(module, function, arity)
      outer -> "fn/#{arity} in #{inspect(module)}.#{outer}"
    end
  end

  # Anonymous functions are named after where they stand: "total/1-fn-0".
  defp outer(function) do
    case Regex.run(~r/\A(.+\/\d+)-fn-\d+/, Atom.to_string(function)) do
      [_, outer] -> outer
      nil -> nil
    end
  end

  @doc """
  A call as it is written in the source. Options are those of `short/2`, for all arguments together.

      iex> ElixirScope.Text.call({Cart, :add, 2}, ["ann", %{id: 1}])
      ~S|Cart.add("ann", %{id: 1})|
      iex> ElixirScope.Text.call({Cart, :add, 2}, nil)
      "Cart.add/2"
  """
  @spec call(mfa, [term] | nil, keyword) :: String.t()
  def call(mfa, args, options \\ [])
  def call(mfa, nil, _options), do: mfa(mfa)

  def call({module, function, arity} = mfa, args, options) do
    args = arguments(args, options)
    if outer(function), do: "#{mfa(mfa)} (#{args})", else: "#{name(module, function, arity)}(#{args})"
  end

  # What one argument leaves of the width goes to those that need more.
  defp arguments(args, options) do
    case Keyword.get(options, :width, @width) do
      width when is_integer(width) ->
        needed = for arg <- args, do: arg |> argument(color: false, width: 1_000) |> width()
        share = share(Enum.sort(needed), width - 2 * length(args))
        Enum.map_join(args, ", ", &argument(&1, Keyword.put(options, :width, max(share, 12))))

      _any ->
        Enum.map_join(args, ", ", &argument(&1, options))
    end
  end

  # Of the caller of a server, the tag of the answer says nothing to people.
  defp argument({pid, tag}, options) when is_pid(pid) and (is_reference(tag) or is_reference(tl(tag))),
    do: "{#{short(pid, options)}, ...}"

  defp argument(arg, options), do: short(arg, options)

  defp share([], width), do: width

  defp share([least | more] = needed, width) when least * length(needed) <= width,
    do: share(more, max(width - least, least))

  defp share(needed, width), do: div(width, length(needed))

  defp name(module, function, arity) do
    module |> Exception.format_mfa(function, arity) |> String.replace(~r/\/\d+\z/, "")
  end

  @doc """
  What was raised, as the shell shows it, on one line: the first one of its message. An error of Erlang is shown as the exception
  that Elixir makes of it.

      iex> ElixirScope.Text.exception(:error, %ArgumentError{message: "too old"})
      "** (ArgumentError) too old"
      iex> ElixirScope.Text.exception(:error, :badarith)
      "** (ArithmeticError) bad argument in arithmetic expression"
      iex> ElixirScope.Text.exception(:exit, :normal)
      "** (exit) :normal"
  """
  @spec exception(:error | :exit | :throw, term, keyword) :: String.t()
  def exception(kind, reason, options \\ []), do: kind |> exception_lines(reason, options) |> hd()

  @doc """
  As `exception/3`, with all lines of the message.

      iex> ElixirScope.Text.exception_lines(:error, %ArgumentError{message: "too old:\\n\\n  7\\n"})
      ["** (ArgumentError) too old:", "", "  7"]
  """
  @spec exception_lines(:error | :exit | :throw, term, keyword) :: [String.t(), ...]
  def exception_lines(kind, reason, options \\ [])

  def exception_lines(:error, %{__struct__: module, __exception__: true} = reason, options) do
    [first | rest] = message(reason, options)
    ["** (#{inspect(module)}) #{first}" | rest]
  end

  def exception_lines(:error, reason, options) do
    case normalized(reason, options) do
      %ErlangError{} -> ["** (ErlangError) Erlang error: #{short(reason, options)}"]
      exception -> exception_lines(:error, exception, options)
    end
  end

  def exception_lines(kind, reason, options), do: ["** (#{kind}) #{short(reason, options)}"]

  # Of some errors the stack says more, such as the function that is undefined; a limit may have cut it.
  defp normalized(reason, options) do
    Exception.normalize(:error, reason, Keyword.get(options, :stack, []))
  rescue
    _any -> Exception.normalize(:error, reason, [])
  end

  # The module of a recorded exception may be another one here, or none.
  defp message(exception, options) do
    exception.__struct__.message(exception) |> String.trim_trailing() |> String.split("\n")
  rescue
    _any -> [short(exception, options)]
  end

  @doc """
  Rows of cells as lines whose columns stand under each other. Colours take no room; the last column ends where its text ends.

      iex> ElixirScope.Text.table([["tea", "720", "a"], ["cup", "1,290", "b"]], right: [1])
      ["tea    720  a", "cup  1,290  b"]
  """
  @spec table([[IO.chardata()]], keyword) :: [String.t()]
  def table(rows, options \\ []) do
    right = Keyword.get(options, :right, [])
    indent = String.duplicate(" ", Keyword.get(options, :indent, 0))
    rows = for row <- rows, do: Enum.map(row, &IO.chardata_to_string/1)
    widths = widths(rows)

    for row <- rows do
      cells =
        for {cell, number} <- Enum.with_index(row), do: pad(cell, Enum.at(widths, number), number in right)

      String.trim_trailing(indent <> Enum.join(cells, "  "))
    end
  end

  @doc "Parts of a line, without those that are empty."
  @spec columns([String.t()]) :: String.t()
  def columns(parts), do: parts |> Enum.reject(&(&1 == "")) |> Enum.join("  ")

  defp widths(rows) do
    columns = rows |> Enum.map(&length/1) |> Enum.max(fn -> 0 end)
    for n <- 0..(columns - 1)//1, do: rows |> Enum.map(&(&1 |> Enum.at(n, "") |> width())) |> Enum.max()
  end

  defp pad(cell, width, true), do: blanks(cell, width) <> cell
  defp pad(cell, width, false), do: pad(cell, width)

  defp blanks(text, width), do: String.duplicate(" ", max(width - width(text), 0))

  @doc """
  How many columns of a terminal a text takes: wide characters take two, and colours none.

      iex> for text <- ["tea", "茶", "☕ 1", "é", "e\u0301"], do: ElixirScope.Text.width(text)
      [3, 2, 4, 1, 1]
  """
  @spec width(String.t()) :: non_neg_integer
  def width(text), do: text |> String.replace(~r/\e\[[\d;]*m/, "") |> Width.of()

  @doc "A text with blanks behind it, up to a width."
  @spec pad(String.t(), non_neg_integer) :: String.t()
  def pad(text, width), do: text <> blanks(text, width)

  @doc """
  A text in a colour of `IO.ANSI`, when colours are asked for as in `short/2`.

      iex> {ElixirScope.Text.paint("old", :red, color: true), ElixirScope.Text.paint("old", :red)}
      {"\\e[31mold\\e[0m", "old"}
  """
  @spec paint(IO.chardata(), atom, keyword) :: String.t()
  def paint(text, color, options \\ []) do
    [color, text] |> IO.ANSI.format(color?(options)) |> IO.chardata_to_string()
  end

  @doc "Whether colours are asked for."
  @spec color?(keyword) :: boolean
  def color?(options) do
    case Keyword.get(options, :color, false) do
      %Inspect.Opts{syntax_colors: colors} -> colors not in [nil, []]
      asked -> asked
    end
  end

  defp colors(options) do
    case Keyword.get(options, :color, false) do
      %Inspect.Opts{syntax_colors: colors} -> colors || []
      true -> [atom: :cyan, string: :green, number: :yellow, boolean: :magenta, nil: :magenta]
      false -> []
    end
    |> Keyword.delete(:tuple)
  end

  @doc """
  A text in lines of so many characters, broken between words.

      iex> ElixirScope.Text.wrap("a time within the recording", 12)
      ["a time", "within the", "recording"]
  """
  @spec wrap(String.t(), pos_integer) :: [String.t()]
  def wrap(text, width) do
    text
    |> String.split()
    |> Enum.chunk_while([], &fill(&1, &2, width), &{:cont, line(&1), []})
  end

  defp fill(word, [], _width), do: {:cont, [word]}

  defp fill(word, words, width) do
    if width(line([word | words])) <= width,
      do: {:cont, [word | words]},
      else: {:cont, line(words), [word]}
  end

  defp line(words), do: words |> Enum.reverse() |> Enum.join(" ")

  @doc """
  The document of an `Inspect`: `#Name<`, lines, `>`, all but the first moved in by two. A list stands for its lines.
  """
  @spec view(String.t(), [String.t() | [String.t()]]) :: Inspect.Algebra.t()
  def view(name, lines) do
    document([{:first, "#ElixirScope.#{name}<"} | List.flatten(lines)])
  end

  defp document([{:first, start}, only]), do: "#{start}#{only}>"

  # What stands beside something of several lines stands on lines of its own.
  defp document([{:first, start} | lines]) do
    [start | Enum.intersperse(lines, Inspect.Algebra.line())]
    |> then(&Inspect.Algebra.concat(&1 ++ [">"]))
    |> Inspect.Algebra.nest(2)
    |> Inspect.Algebra.force_unfit()
  end

  @doc """
  Options of `short/2` for a line of an `Inspect`. Terms are shortened further than the shell does, unless more
  elements of each are asked for than it shows by itself.
  """
  @spec options(Inspect.Opts.t()) :: keyword
  def options(%Inspect.Opts{} = opts) do
    if opts.limit == :infinity or opts.limit > @usual,
      do: [color: opts, limit: opts.limit, width: :infinity],
      else: [color: opts, width: line_width(opts)]
  end

  # Inside of two ends, moved in by two.
  defp line_width(%{width: width}) when is_integer(width), do: max(width - 4, 60)
  defp line_width(_any), do: @width

  defp day(ns), do: Integer.floor_div(ns, 86_400_000_000_000)

  # Beyond the year 2262 nothing is a time; such a bound stands for "no end".
  defp format(ns, _format) when ns > 0x7FFFFFFFFFFFFFFF, do: "the end"

  defp format(ns, format) do
    ns |> DateTime.from_unix!(:nanosecond) |> DateTime.truncate(:microsecond) |> Calendar.strftime(format)
  end
end
