defmodule ElixirScope.Case do
  @moduledoc """
  Assertions on what was recorded, for ExUnit.

      defmodule CartTest do
        use ElixirScope.Case, async: true

        test "checkout takes every item from the stock" do
          {:ok, cart} = Cart.start_link()
          Cart.add(cart, %{id: 1, count: 2})
          Cart.checkout(cart)

          assert_called Stock.take(1, 2)
          refute_called Stock.put_back(_, _)
          assert_state cart, %{items: []}
        end
      end

  It takes the options of `ExUnit.Case`, and imports `ElixirScope.Assertions`. Nothing is mocked and no code is replaced: the
  recording is asked.

  ## Beside another case template

      defmodule MyApp.ConnCase do
        use ExUnit.CaseTemplate

        using do
          quote do
            import ElixirScope.Assertions
          end
        end

        setup context, do: ElixirScope.Case.begin(context)
      end

  Without that `setup` the assertions work too. Then the test begins when its process was made, if the VM has told that (it does since OTP 27,
  where the recording watches anything), and otherwise with the recording. That finds the same calls, as the processes of a test are its own;
  but lost events of earlier tests then make `refute_called` undecided, and `:ever` and `:always` look at the states of servers
  from before the test as well.

  ## The processes of a test

  Each test sees its own processes only, so thousands of tests may be `async` and share one recording. A process is one of the test's when

    * the test process made it, or one that is the test's did: by `spawn`, `start_link`, as a task, with `start_supervised/1`;
    * a process of the test is among its `$ancestors` or `$callers` when its first event is recorded: so tasks of a supervisor that all
      share (`Task.Supervisor.async/2`) are those of the test that began them, and so is what such a task makes while it lives;
    * it is linked to a process of the test, was made after the test began, which the VM must have told (`ElixirScope.watch/2`), and was not
      made by another test: so a worker that a shared supervisor makes, and that links itself to the test, is the test's. The
      supervisor is not, nor is any server that lived before, whatever it is linked to; and two tests are never one because of a link;
    * the test says so: `ElixirScope.Case.allow/1`.

  A process of plain `spawn` is known through the processes between it and the test that made events or were still alive at its first event. Since OTP 27
  the VM tells of each birth where the recording watches anything, so all are known. Before that, one whose maker has ended by its first event is lost for
  good: it is waited for by nobody, `assert_called` does not find what it did, and `refute_called` does not see it. Where that may be, let the
  maker wait for it, make it with `Task` or `start_supervised/1`, or name it: `ElixirScope.Case.allow/1`.

  Who asserts is the test, a task of it, or a process of plain `spawn` whose makers up to the test live; in any other an assertion is refused,
  since nobody knows of which test it is. What `on_exit/1` is given runs in such a process, behind the test: ask in the test. (Without the `setup` above
  any other is taken for a test of its own: assert in the test's process.)

  A process that several tests share (a server of the application, what `setup_all` starts, a connection pool) is none of them's, as nobody can
  say for whom it works. `assert_state` can ask for its state all the same; for its calls allow it, in tests that are not `async`.
  """

  alias ElixirScope.Case.Scope

  defmacro __using__(options) do
    quote do
      use ExUnit.Case, unquote(options)
      import ElixirScope.Assertions

      setup context, do: ElixirScope.Case.begin(context)
    end
  end

  @doc """
  Notes that a test begins, for `setup context, do: ElixirScope.Case.begin(context)` of another case template. With the context of
  the test its process is called by the test's name, as ExUnit does it since Elixir 1.19.
  """
  @spec begin(map) :: :ok
  def begin(context \\ %{}), do: Scope.begin(context)

  @doc """
  Counts a process among those of the calling test, from its first event in the test's time on, with the processes that it makes.

      ElixirScope.Case.allow(Process.whereis(Stock))

  A task of the test may say so as well, and any other process that may assert: it counts for the whole test. Also a registered name may be given. An `ArgumentError` says that no process has it.
  """
  @spec allow(pid | atom) :: :ok
  def allow(process)
  def allow(pid) when is_pid(pid), do: Scope.allow(pid)

  def allow(name) when is_atom(name) and name not in [nil, true, false] do
    case Process.whereis(name) do
      pid when is_pid(pid) ->
        Scope.allow(pid)

      _none ->
        raise ArgumentError, "expected a pid, or a name that a process has now, got: #{inspect(name)}"
    end
  end

  def allow(other) do
    raise ArgumentError, "expected a pid, or a name that a process has now, got: #{inspect(other)}"
  end
end
