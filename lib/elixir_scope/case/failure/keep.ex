defmodule ElixirScope.Case.Failure.Keep do
  @moduledoc false
  # A recording that a failed test has named is kept for a day: the store passes over folders with this file, whose age says since when
  # (`native/store/src/run.rs`).

  @file_name "failed"

  @doc "Notes that a failure names the recording. One that cannot be written to is named all the same."
  @spec failed(ElixirScope.Recording.t()) :: :ok
  def failed(recording) do
    _written = File.touch(Path.join(recording.path, @file_name))
    :ok
  end
end
