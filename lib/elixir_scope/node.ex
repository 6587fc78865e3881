defmodule ElixirScope.Node do
  @moduledoc """
  A place in the code that events of a recording come from: a node of its abstract syntax tree.

  | field | meaning |
  |---|---|
  | `id` | the `node` of its events. It stays when other functions of the file change |
  | `mfa` | the function, or the anonymous function, such as `{Cart, :"total/1-fn-2", 1}` |
  | `kind` | `:function`, `:fn` (an anonymous function), `:counted` (a function whose calls are counted); of a place that binds variables `:head` (of a clause), `:match`, `:case` (also `cond`, `if`, `with`), `:receive` (a clause, and the whole with its `after`, also where no variable is bound), `:try` (`rescue`, `catch`, `else`) or `:generator` |
  | `clause` | which clause of the function it stands in, from 1; `nil` for the function as a whole |
  | `file`, `line`, `column` | where it stands; `column` is `nil` under Elixir 1.14, whose compiler forgets it |
  | `names` | the variables that are bound there, as they are called in the source |
  | `source` | the text that it stands in, for `ElixirScope.source/2`; `nil` when the text is not known |
  """

  @type kind :: :function | :fn | :counted | :head | :match | :case | :receive | :try | :generator

  @type t :: %__MODULE__{
          id: non_neg_integer,
          mfa: mfa,
          kind: kind,
          clause: pos_integer | nil,
          file: String.t(),
          line: non_neg_integer,
          column: pos_integer | nil,
          names: [atom],
          source: pos_integer | nil
        }

  @enforce_keys [:id, :mfa, :kind, :clause, :file, :line, :column, :names, :source]
  defstruct @enforce_keys

  @doc false
  # From the tuple that the native library makes; 0 stands for what is not known.
  def from_native({mfa, {file, line, column, source}, {id, kind, clause, names}}) do
    %__MODULE__{
      id: id,
      mfa: mfa,
      kind: kind,
      clause: known(clause),
      file: file,
      line: line,
      column: known(column),
      names: names,
      source: known(source)
    }
  end

  defp known(0), do: nil
  defp known(number), do: number
end
