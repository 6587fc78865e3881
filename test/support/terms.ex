defmodule ElixirScope.Terms do
  @moduledoc false
  # Random Elixir terms of every type, from a seed: `:rand` is per process, so a failing seed can be run again.

  @doc "A term; larger `size` means larger and deeper."
  def random(size) when size <= 0, do: leaf()

  def random(size) do
    case :rand.uniform(10) do
      1 -> List.to_tuple(several(size))
      2 -> several(size)
      3 -> improper(size)
      4 -> Map.new(several(size), &{leaf(), &1})
      5 -> MapSet.new(several(size))
      # A struct of which nothing is redacted.
      6 -> %File.Stat{size: random(size - 2), mode: leaf()}
      7 -> for n <- 1..(32 + :rand.uniform(60)), into: %{}, do: {n, leaf()}
      _ -> leaf()
    end
  end

  defp several(size), do: for(_ <- 1..:rand.uniform(5), do: random(size - 2))

  defp improper(size), do: Enum.reduce(several(size), leaf_but_list(), &[&1 | &2])

  defp leaf_but_list do
    case leaf() do
      list when is_list(list) -> :tail
      other -> other
    end
  end

  @doc "A term of one piece."
  def leaf do
    case :rand.uniform(20) do
      1 ->
        :rand.uniform(1000) - 500

      2 ->
        integer_near(59)

      3 ->
        integer_near(63)

      4 ->
        integer_near(64)

      5 ->
        integer_near(200)

      6 ->
        :rand.normal() * :math.pow(10, :rand.uniform(300) - 150)

      7 ->
        Enum.random([0.0, -0.0, 1.5e300])

      8 ->
        Enum.random([
          nil,
          true,
          :"",
          :"with space",
          :häßlich,
          :日本,
          Elixir.ElixirScope,
          :"long #{String.duplicate("ü", 200)}"
        ])

      9 ->
        bytes(:rand.uniform(100) - 1)

      10 ->
        String.duplicate("ä", :rand.uniform(50))

      11 ->
        <<:rand.uniform(1000)::size(11)>>

      12 ->
        []

      13 ->
        %{}

      14 ->
        {}

      15 ->
        self()

      16 ->
        make_ref()

      17 ->
        Enum.random(Port.list())

      18 ->
        Enum.random([&String.trim/1, &ElixirScope.Terms.leaf/0])

      19 ->
        closure(:rand.uniform(1000), make_ref())

      20 ->
        String.to_charlist("charlist")
    end
  end

  @doc """
  Random bytes, without the signs that may stand between a name and its value: of the others, one text in a million names a
  secret by chance, and would rightly not come back as it was.
  """
  def bytes(count), do: count |> :rand.bytes() |> :binary.replace(["=", ":", "{", "%"], "-", [:global])

  defp closure(number, ref), do: fn x -> {x, number, ref} end

  defp integer_near(bits) do
    Enum.random([-1, 1]) * (Integer.pow(2, bits) + :rand.uniform(5) - 3)
  end
end
