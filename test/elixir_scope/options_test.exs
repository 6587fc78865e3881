defmodule ElixirScope.OptionsTest do
  # What is no option, where it is not told elsewhere.
  use ExUnit.Case, async: true

  alias ElixirScope.{Error, Options}

  # Names of files need not be text; those of recordings are.
  test "a path that is no text is an error that says so, and the recording goes on" do
    recorder = Process.whereis(ElixirScope.Recorder)
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.start(dir: <<255>>)
    assert message =~ "UTF-8"
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.open(<<255>>)
    assert message =~ "UTF-8"
    assert Process.whereis(ElixirScope.Recorder) == recorder
  end

  test "a configuration that says neither whether to record nor not to is refused" do
    assert {:error, %Error{reason: :bad_option, message: message}} = Options.read(enabled: "true")
    assert message == ~s(expected :enabled to be true or false, got: "true")
    assert {:ok, _} = Options.read(enabled: false)
  end
end
