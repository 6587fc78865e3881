# The text of a source file as it was compiled, which the rewritten module carries and gives to the recording the first
# time that something of it is recorded.
defmodule ElixirScope.Instrument.Source do
  @moduledoc false

  @typedoc "A text by its digest, packed."
  @type t :: {digest :: pos_integer(), packed :: binary()}

  # Each module of a file carries all of it. What is larger was made by a program, and says nothing to a person.
  @largest 1_000_000

  @doc """
  The texts of the files that the forms of a module come from, by the name that the forms give them. `find` gives the
  path of a file, or `nil` when its text is not what was compiled.
  """
  @spec of_forms([tuple()], (String.t() -> Path.t() | nil)) :: %{optional(String.t()) => t()}
  def of_forms(forms, find) do
    for {:attribute, _, :file, {file, _line}} <- forms,
        name = IO.chardata_to_string(file),
        path = find.(name),
        {:ok, text} <- [read(path)],
        into: %{},
        do: {name, new(text)}
  end

  @doc """
  The same for a module that was compiled before, of which `source` is the file as the compiler knew it. Of a file that was
  changed after `compiled` (seconds since 1970, or `nil` when nobody knows) the text is not that of the code.
  """
  @spec of_compiled([tuple()], Path.t(), non_neg_integer() | nil) :: %{optional(String.t()) => t()}
  def of_compiled(forms, source, compiled) do
    of_forms(forms, fn name ->
      # Forms name files from the folder of their project.
      path = if String.ends_with?(source, "/" <> name), do: source, else: name

      case File.stat(path, time: :posix) do
        {:ok, %{mtime: written}} when written <= compiled -> path
        _newer_or_none -> nil
      end
    end)
  end

  defp read(path) do
    with {:ok, %{type: :regular, size: size}} when size <= @largest <- File.stat(path) do
      File.read(path)
    else
      _too_large_or_no_file -> :error
    end
  end

  @doc """
  Packs a text.

      iex> {digest, packed} = ElixirScope.Instrument.Source.new("defmodule Cart")
      iex> ElixirScope.Instrument.Source.text(packed, digest)
      {:ok, "defmodule Cart"}
  """
  @spec new(String.t()) :: t()
  def new(text), do: {digest(text), :zlib.compress(text)}

  @doc """
  Unpacks a text that has this digest; `:error` when it is another.

      iex> {digest, packed} = ElixirScope.Instrument.Source.new("defmodule Cart")
      iex> ElixirScope.Instrument.Source.text(packed, digest + 1)
      :error
      iex> ElixirScope.Instrument.Source.text("no text", digest)
      :error
  """
  @spec text(binary(), pos_integer()) :: {:ok, String.t()} | :error
  def text(packed, digest) do
    text = :zlib.uncompress(packed)
    if digest(text) == digest, do: {:ok, text}, else: :error
  rescue
    # Bytes that are not packed, from a disk that lost some.
    _not_packed in [ErlangError, ArgumentError] -> :error
  end

  # 59 bits, as much as fits a small integer; 0 stands for no text.
  defp digest(text) do
    <<id::59, _rest::bitstring>> = :erlang.md5(text)
    max(id, 1)
  end
end
