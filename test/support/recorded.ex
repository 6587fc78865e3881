defmodule ElixirScope.Recorded do
  @moduledoc false
  # A test module in which each test has a recording of its own, with the options that `use` is given; the context has it as
  # `:recording`. The recording is one for the VM, so such tests run one after the other.

  import ExUnit.Callbacks, only: [on_exit: 1]

  defmacro __using__(options) do
    quote do
      use ExUnit.Case, async: false
      @moduletag :tmp_dir

      setup %{tmp_dir: dir} do
        ElixirScope.Recorded.begin([dir: dir] ++ unquote(options))
      end
    end
  end

  @doc "Begins a recording, and after the test another one, for the tests that share one."
  def begin(options) do
    {:ok, recording} = ElixirScope.start(options)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end
end
