defmodule Bench.Programs do
  @moduledoc false
  # Four small programs, each compiled four times: as written, instrumented, without arguments, with variables.

  body =
    quote do
      use GenServer

      # A small function.
      def add(a, b), do: a + b

      # A server that counts.
      def start, do: GenServer.start_link(__MODULE__, 0)
      def count(server), do: GenServer.call(server, :count)

      @impl true
      def init(count), do: {:ok, count}

      @impl true
      def handle_call(:count, _from, count), do: {:reply, count + 1, count + 1}

      # JSON out of a term, as iodata.
      def encode(nil), do: "null"
      def encode(true), do: "true"
      def encode(false), do: "false"
      def encode(text) when is_binary(text), do: [?", escape(text, text, 0, 0, []), ?"]
      def encode(number) when is_integer(number), do: Integer.to_string(number)
      def encode(number) when is_float(number), do: Float.to_string(number)
      def encode(atom) when is_atom(atom), do: encode(Atom.to_string(atom))
      def encode([]), do: "[]"
      def encode([first | rest]), do: [?[, encode(first), elements(rest)]
      def encode(map) when is_map(map), do: pairs(Map.to_list(map))

      defp elements([]), do: [?]]
      defp elements([next | rest]), do: [?,, encode(next) | elements(rest)]

      defp pairs([]), do: "{}"
      defp pairs([first | rest]), do: [?{, pair(first), more_pairs(rest)]
      defp more_pairs([]), do: [?}]
      defp more_pairs([next | rest]), do: [?,, pair(next) | more_pairs(rest)]
      defp pair({key, value}), do: [?", to_string(key), ?", ?:, encode(value)]

      defp escape(<<char, rest::binary>>, text, from, length, done) when char == ?" or char == ?\\ do
        done = [done, binary_part(text, from, length), ?\\, char]
        escape(rest, text, from + length + 1, 0, done)
      end

      defp escape(<<_, rest::binary>>, text, from, length, done),
        do: escape(rest, text, from, length + 1, done)

      defp escape(<<>>, text, 0, _length, []), do: text
      defp escape(<<>>, text, from, length, done), do: [done, binary_part(text, from, length)]

      # A parser of arithmetic, by recursive descent: a list of characters in, a number out.
      def parse(chars) do
        {value, []} = sum(chars)
        value
      end

      defp sum(chars) do
        {left, rest} = product(chars)
        sum(rest, left)
      end

      defp sum([?+ | rest], left) do
        {right, rest} = product(rest)
        sum(rest, left + right)
      end

      defp sum([?- | rest], left) do
        {right, rest} = product(rest)
        sum(rest, left - right)
      end

      defp sum(rest, left), do: {left, rest}

      defp product(chars) do
        {left, rest} = factor(chars)
        product(rest, left)
      end

      defp product([?* | rest], left) do
        {right, rest} = factor(rest)
        product(rest, left * right)
      end

      defp product(rest, left), do: {left, rest}

      defp factor([?( | rest]) do
        {value, [?) | rest]} = sum(rest)
        {value, rest}
      end

      defp factor(chars), do: digits(chars, 0)

      defp digits([digit | rest], value) when digit in ?0..?9, do: digits(rest, value * 10 + digit - ?0)
      defp digits(rest, value), do: {value, rest}
    end

  # Variables of a quoted piece of code belong to the macro that would have made it. These are to be the user's, or
  # `locals: true` would record none.
  body =
    Macro.prewalk(body, fn
      {name, meta, __MODULE__} -> {name, meta, nil}
      other -> other
    end)

  for {name, options} <- [Plain: nil, Traced: nil, Full: [], Bare: [args: false], Locals: [locals: true]] do
    defmodule Module.concat(__MODULE__, name) do
      @moduledoc false
      if options do
        require ElixirScope
        Module.eval_quoted(__MODULE__, quote(do: use(ElixirScope, unquote(options))))
      end

      Module.eval_quoted(__MODULE__, body)
    end
  end
end
