defmodule ElixirScope.Instrument.OptionsTest do
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Options

  alias ElixirScope.Instrument.Options

  test "every wrong value says what was expected, what came and what to do" do
    for {options, parts} <- [
          {[only: :add], ["only: to be a list of functions", ":add", "[add: 2]"]},
          {[only: [{:add, -1}]], ["only: to be a list", "[add: -1]"]},
          {[except: ["add"]], ["except: to be a list", "[\"add\"]"]},
          {[state: 1], ["state: to be true or false", "got: 1", "state: true"]},
          {[nothing: 1],
           ["only:, except:, count:, args:, returns:, locals:, receives:, state:, agents:", "nothing: 1"]},
          {[:add], ["a keyword list of options", "[:add]"]},
          {:all, ["a keyword list of options", ":all"]}
        ] do
      message = assert_raise(ArgumentError, fn -> Options.new!(options) end).message
      for part <- parts, do: assert(message =~ part)
    end
  end

  test "no options" do
    assert Options.new!([]) == %Options{only: :all, except: [], args: true, returns: true, state: true}
  end
end
