# The tests whose outcome may differ, each with the reason. As short as possible: everything else is a bug of ours.
defmodule World.Expected do
  @moduledoc false

  # A tail call into code that records nothing keeps the frame of its caller while it runs (docs/instrumentation.md,
  # "What differs"), and this program counts the frames of its own stack.
  @frame "counts frames of its own stack: "
  # What is recorded takes longer than the test may, which is a figure in the test or ExUnit's minute.
  @deadline "has a deadline: "

  @expected %{
    {"elixir", "ApplicationTest", "test deprecated non-atom keys"} =>
      @frame <> "Application leaves out the first two, and warns once for what is then the first",
    {"elixir", "Kernel.ErrorsTest", "test macros error stacktrace"} =>
      @frame <> "what :elixir_def calls a macro with stands between the macro and where :elixir_dispatch cuts",
    {"elixir", "Kernel.ParallelCompilerTest",
     "test compile gets correct line number for UndefinedFunctionError"} =>
      @frame <> "Kernel.ParallelCompiler takes the line from the second, which is now Kernel.ErrorHandler",
    {"elixir", "KernelTest", "test in/2 too large list in guards"} =>
      @deadline <>
        "a minute; the compiler goes over 1024 nested guards with :lists, quadratically many events",
    {"elixir", "BaseTest", "test encode then decode is identity"} =>
      @deadline <> "a minute; 10280 encodings and as many decodings, an event a byte",
    {"elixir", "TaskTest",
     "test async_stream with max_concurrency == tasks with :on_timeout set to :kill_task"} =>
      @deadline <> "50 ms for tasks that sleep for 1 ms",
    {"elixir", "TaskTest",
     "test async_stream with max_concurrency < tasks with :on_timeout set to :kill_task"} =>
      @deadline <> "50 ms for tasks that sleep for 1 ms",
    {"elixir", "TaskTest",
     "test async_stream with max_concurrency > tasks with :on_timeout set to :kill_task"} =>
      @deadline <> "50 ms for tasks that sleep for 1 ms"
  }

  @doc "Why this test may end differently when it is instrumented, or `nil`."
  def reason(name, {module, test}), do: @expected[{name, inspect(module), Atom.to_string(test)}]
end
