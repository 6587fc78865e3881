defmodule ElixirScope.PathOfRecordingTest do
  use ExUnit.Case, async: true

  alias ElixirScope.Error

  # Names of files need not be text; those of recordings are.
  test "a path that is no text is an error that says so, and the recording goes on" do
    recorder = Process.whereis(ElixirScope.Recorder)
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.start(dir: <<255>>)
    assert message =~ "UTF-8"
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.open(<<255>>)
    assert message =~ "UTF-8"
    assert Process.whereis(ElixirScope.Recorder) == recorder
  end
end
