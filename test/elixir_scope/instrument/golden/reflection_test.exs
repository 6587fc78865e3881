defmodule ElixirScope.Instrument.Golden.ReflectionTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Behaviour do
    @callback run(integer) :: integer
    @optional_callbacks run: 1
  end

  defmodule Golden.Reflection do
    @moduledoc "The module."
    @behaviour Golden.Behaviour
    # scope
    Module.register_attribute(__MODULE__, :kept, persist: true, accumulate: true)
    @kept 1
    @kept 2
    @type t :: integer
    @typep hidden :: atom
    @opaque o :: hidden
    @doc "Runs."
    @doc since: "1.0"
    @spec run(t) :: t
    @impl true
    def run(x), do: x + 1
    @doc false
    @deprecated "use run/1"
    def old(x), do: x
    @spec generic(a) :: a when a: var
    def generic(x), do: x
    defmacro mac(x), do: x
    def attribute, do: @kept
    def stack do
      {:current_stacktrace, [_, frame | _]} = Process.info(self(), :current_stacktrace)
      {elem(frame, 1), elem(frame, 2), elem(frame, 3)[:line]}
    end
    def env, do: {__ENV__.line, __ENV__.function, __DIR__ == __ENV__.file |> Path.dirname()}
  end
  '''

  test "attributes, __info__, specs, docs and types are the same" do
    Golden.assert_same(@source, [
      ~S|Golden.Reflection.__info__(:functions)|,
      ~S|Golden.Reflection.__info__(:macros)|,
      ~S{Golden.Reflection.__info__(:attributes) |> Keyword.delete(:vsn)},
      ~S|Golden.Reflection.__info__(:deprecated)|,
      ~S|Golden.Reflection.__info__(:exports_md5)|,
      ~S|Golden.Reflection.__info__(:module)|,
      ~S{Golden.Reflection.module_info(:exports) |> Enum.sort()},
      ~S|Code.Typespec.fetch_specs(Golden.Reflection)|,
      ~S|Code.Typespec.fetch_types(Golden.Reflection)|,
      ~S|Code.fetch_docs(Golden.Reflection)|,
      ~S|Golden.Reflection.attribute()|,
      ~S|Golden.Reflection.stack()|,
      ~S|Golden.Reflection.env()|,
      ~S|{Golden.Reflection.run(1), Golden.Reflection.generic(1)}|,
      ~S|Golden.Reflection.run(:a)|,
      ~S|Code.Typespec.fetch_callbacks(Golden.Behaviour)|
    ])
  end
end
