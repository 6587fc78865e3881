defmodule ElixirScope.Instrument.DecoratorTest do
  # A second tool that rewrites functions in the same module: decorators, by @on_definition and defoverridable.
  use ExUnit.Case, async: false

  defmodule Decorator do
    defmacro __using__(_) do
      quote do
        Module.register_attribute(__MODULE__, :decorated, accumulate: true)
        @on_definition unquote(__MODULE__)
        @before_compile unquote(__MODULE__)
        @twice false
      end
    end

    def __on_definition__(env, :def, name, args, _guards, _body) do
      if Module.get_attribute(env.module, :twice) do
        Module.put_attribute(env.module, :decorated, {name, length(args)})
        Module.put_attribute(env.module, :twice, false)
      end
    end

    def __on_definition__(_env, _kind, _name, _args, _guards, _body), do: :ok

    defmacro __before_compile__(env) do
      for {name, arity} <- Module.get_attribute(env.module, :decorated) do
        args = Macro.generate_arguments(arity, __MODULE__)

        quote do
          defoverridable [{unquote(name), unquote(arity)}]
          def unquote(name)(unquote_splicing(args)), do: 2 * super(unquote_splicing(args))
        end
      end
    end
  end

  for {order, uses} <- [
        before: ["use ElixirScope", "use ElixirScope.Instrument.DecoratorTest.Decorator"],
        behind: ["use ElixirScope.Instrument.DecoratorTest.Decorator", "use ElixirScope"]
      ] do
    test "with `use ElixirScope` #{order} it, the decorated function and what it decorates are recorded" do
      name = :"Elixir.ElixirScope.DecoratorTest.#{unquote(order)}"

      [{module, _beam}] =
        Code.compile_string("""
        defmodule #{inspect(name)} do
          #{unquote(Enum.join(uses, "\n  "))}
          @twice true
          def add(x, y), do: x + y
          def sub(x, y), do: x - y
        end
        """)

      {:ok, _} = ElixirScope.start()
      assert {module.add(1, 2), module.sub(3, 1)} == {6, 2}
      assert [%{args: [1, 2], return: 6}] = ElixirScope.calls({module, :add, 2}, pid: self())
      assert [%{args: [3, 1], return: 2}] = ElixirScope.calls({module, :sub, 2}, pid: self())
      inner = for {name, 2} <- ElixirScope.Instrument.functions(module), name not in [:add, :sub], do: name
      assert [inner] = inner
      assert [%{args: [1, 2], return: 3}] = ElixirScope.calls({module, inner, 2}, pid: self())
    end
  end
end
