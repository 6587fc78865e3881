defprotocol ElixirScope.Recordable do
  @moduledoc """
  Which fields of a struct are recorded, and which of them are secret. A struct without an implementation is recorded whole, but
  for what the rules of `ElixirScope.Redaction` keep out.

  Most often it is derived:

      defmodule Shop.Customer do
        @derive {ElixirScope.Recordable, except: [:avatar], secret: [:iban]}
        defstruct [:name, :iban, :avatar]
      end

  | option | meaning |
  |---|---|
  | `:only` | the fields that are recorded |
  | `:except` | or those that are not |
  | `:secret` | fields whose value is never recorded |

  In the place of a field that is not recorded stands an `ElixirScope.Cut` of the kind `:left_out`, in the place of a secret one a
  cut of the kind `:redacted`. What is left out is not looked at, so it also costs nothing: this is for structs that are
  large and of which people look at some fields.

  Structs of others get an implementation by `Protocol.derive(ElixirScope.Recordable, Their.Struct, only: [:id])`, or by `defimpl`.
  It replaces the view that ElixirScope itself has of some structs:

  | struct | the fields that are recorded |
  |---|---|
  #{for {module, fields} <- ElixirScope.Redaction.Views.default(), do: "| `#{inspect(module)}` | #{Enum.map_join(fields, ", ", &"`#{inspect(&1)}`")} |\n"}

  Both functions are asked once for each struct when a recording begins, with the struct as it is when nothing is set. What they
  answer must not depend on the values. When one of them fails, the recording does not begin: a secret that is not known
  is not kept.
  """

  @type view :: :all | [only: [atom]] | [except: [atom]]

  @doc """
  The fields that are recorded: `:all`, `[only: fields]` or `[except: fields]`.
  """
  @spec view(t) :: view
  def view(struct)

  @doc """
  The fields whose value is never recorded.
  """
  @spec secret(t) :: [atom]
  def secret(struct)
end

defimpl ElixirScope.Recordable, for: Any do
  defmacro __deriving__(module, struct, options) do
    {view, secret} = ElixirScope.Redaction.Views.derived!(module, struct, options)

    quote do
      defimpl ElixirScope.Recordable, for: unquote(module) do
        def view(_struct), do: unquote(view)
        def secret(_struct), do: unquote(secret)
      end
    end
  end

  # Nobody asks them: a struct without an implementation has no view.
  def view(_struct), do: :all
  def secret(_struct), do: []
end
