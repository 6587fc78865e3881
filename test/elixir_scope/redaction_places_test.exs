defmodule ElixirScope.RedactionPlacesTest do
  # Secrets in places of which the names stand elsewhere: in the function that is called, in the pattern, in the address.
  use ExUnit.Case, async: false

  import ElixirScope.Until, only: [until: 1]

  alias ElixirScope.Cut
  alias ElixirScope.Query.Term
  alias ElixirScope.Redacted.{Account, Session, Wide}
  alias ElixirScope.Traced.Echo

  require Logger

  @moduletag :tmp_dir
  @moduletag :capture_log
  @redacted %Cut{kind: :redacted}

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, watch: :instrumented)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

  defmodule Auth do
    @moduledoc false
    use ElixirScope, locals: true

    def login(user, password), do: {user, byte_size(password)}

    def check(user, password) when is_atom(user), do: {user, password}

    def sign_in(user, password \\ nil, opts \\ []), do: {user, is_nil(password), opts}
    def reset(mode \\ :now, token, user), do: {mode, byte_size(token), user}

    def matched(_user, %{password: p, name: n}), do: {byte_size(p), n}
    def options(token: t, name: n), do: {byte_size(t), n}

    def cased(map) do
      %{"password" => from_text} = map
      [{:ok, %{credentials: %{inner: part}}}] = [{:ok, map}]

      case map do
        %{api_key: k} ->
          for %{ssn: s, name: n} <- map.people, do: {byte_size(k), byte_size(from_text), part, s, n}
      end
    end
  end

  defmodule Vault do
    @moduledoc false
    # Of which nothing is recorded, by the rules of the test.
    use ElixirScope, locals: true

    def fail(:raise, box), do: raise("oh #{box}\n    and #{box}")
    def fail(:key, box), do: raise(KeyError, key: :none, term: %{box => 1})
    def fail(:error, box), do: :erlang.error({:bad, box})
    def fail(:exit, box), do: exit({:bad, box})
    def fail(:throw, box), do: throw({:bad, box})
    def fail(:within, box), do: Enum.map([box], fn box -> raise(ArgumentError, "oh #{box}") end)
    def fail(:clause, box), do: Enum.map([box], fn :none -> box end)
  end

  defmodule Keyed do
    @moduledoc false
    use GenServer
    use ElixirScope

    def start_link(api_key), do: GenServer.start_link(__MODULE__, api_key)
    @impl true
    def init(api_key), do: {:ok, %{api_key: api_key}}
  end

  # The same, for those that stand nowhere but in the list of a supervisor.
  defmodule Supervised do
    @moduledoc false
    use GenServer
    use ElixirScope

    def start_link(api_key, options \\ []), do: GenServer.start_link(__MODULE__, api_key, options)
    @impl true
    def init(api_key), do: {:ok, %{api_key: api_key}}
  end

  defmodule Machine do
    @moduledoc false
    @behaviour :gen_statem
    use ElixirScope

    def start_link(token), do: :gen_statem.start_link({:local, __MODULE__}, __MODULE__, {:given, token}, [])
    @impl true
    def callback_mode, do: :handle_event_function
    @impl true
    def init({:given, token}), do: {:ok, :open, %{token: token}}
    @impl true
    def handle_event(_kind, _event, _state, _data), do: :keep_state_and_data
  end

  defmodule Tree do
    @moduledoc false
    use Supervisor
    use ElixirScope

    @impl true
    def init(credentials), do: Supervisor.init([{Supervised, hd(credentials)}], strategy: :one_for_all)
  end

  defmodule Growing do
    @moduledoc false
    use DynamicSupervisor
    use ElixirScope

    @impl true
    def init(credentials) when is_list(credentials), do: DynamicSupervisor.init(strategy: :one_for_one)
  end

  # Nothing of it is secret.
  defmodule Open do
    @moduledoc false
    use GenServer
    use ElixirScope

    @impl true
    def init(user), do: {:ok, user}
  end

  # Not instrumented, so nobody knows what it calls its argument.
  defmodule Unknown do
    @moduledoc false
    use GenServer
    @impl true
    def init(given), do: {:ok, byte_size(given)}
  end

  # Three of each: of the first one `init/1` was not called before.
  defp begun(servers) do
    for {what, start} <- servers, n <- 1..3 do
      {:ok, pid} = start.("#{what}, number #{n}")
      stop(pid)
    end
  end

  defp stop(pid) do
    Process.unlink(pid)
    monitor = Process.monitor(pid)
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^monitor, :process, ^pid, _}
  end

  # What `init/1` of a module is given, where processes are told to begin.
  defp begun_with(module) do
    for %{kind: :spawn, data: %{mfa: {:proc_lib, :init_p, [_, _, :gen, :init_it, args]}}} <-
          ElixirScope.events(),
        {:ok, given} <- [args |> Enum.take(-3) |> given_to(module)],
        do: given
  end

  defp given_to([:supervisor, {_name, module, given}, _options], module), do: {:ok, given}
  defp given_to([DynamicSupervisor, {module, given, _name}, _options], module), do: {:ok, given}
  defp given_to([module, given, _options], module), do: {:ok, given}
  defp given_to(_others, _module), do: nil

  defp bound(function) do
    for %{data: %{bindings: bindings}, mfa: {Auth, ^function, _}} <-
          ElixirScope.events(kind: :binding, pid: self()),
        pair <- bindings,
        do: pair
  end

  defp echoed(term) do
    Echo.echo(term)
    [recorded] = List.last(ElixirScope.calls(&Echo.echo/1)).args
    recorded
  end

  test "texts that inspect/2 and io_lib break into lines, and terms as Erlang writes them" do
    secret = "correct-horse"
    wide = String.duplicate("wide ", 20)

    for text <- [
          inspect([{"authorization", "Bearer " <> secret}, {"x", wide}], width: 20),
          inspect([{:password, secret}, {:x, wide}], width: 10, syntax_colors: []),
          inspect(%{"password" => secret, "wide" => wide}, width: 10),
          inspect(%{password: secret, wide: wide}, width: 10),
          inspect(inspect({:password, secret}, width: 10)),
          "{\"password\":\n  \"#{secret}\"}",
          IO.chardata_to_string(:io_lib.format("~10p", [%{password: secret}])),
          IO.chardata_to_string(:io_lib.format("~10p", [%{"password" => secret}])),
          IO.chardata_to_string(:io_lib.format("~w", [[{:password, secret}]])),
          IO.chardata_to_string(:io_lib.format("~p", [[{:password, secret}]])),
          IO.chardata_to_string(:io_lib.format("~p", [{:token, String.to_charlist(secret)}])),
          IO.chardata_to_string(:io_lib.format("~p", [{"password", secret}])),
          IO.chardata_to_string(:io_lib.format("~10p", [{"password", secret}]))
        ] do
      recorded = echoed(text)
      refute recorded =~ "horse", "#{text}\n#{recorded}"
      assert recorded =~ "[redacted]"
    end
  end

  test "names of two words, and those that end in access_key" do
    assert %{"api key" => @redacted, aws_secret_access_key: @redacted, key: 1} =
             echoed(%{"api key" => "S", aws_secret_access_key: "S", key: 1})

    assert echoed("API key: S") == "API key: [redacted]"
  end

  test "the user of an address" do
    uri = URI.parse("https://ann:S@example.org:8443/a?b=c")
    assert %URI{userinfo: @redacted, host: "example.org", path: "/a", port: 8443} = echoed = echoed(uri)
    # Elixir fills it in or not.
    assert echoed.authority in [@redacted, nil]
    assert inspect(echoed) =~ "userinfo: #Redacted<>"
    open = URI.parse("https://example.org/a?b=c")
    assert echoed(open) === open
    many = Map.new(1..40, &{&1, uri})
    assert %{1 => %URI{userinfo: @redacted}} = echoed(many)
  end

  test "the id of a socket of Phoenix, which is made of the token of the session" do
    socket = %{__struct__: Phoenix.Socket, id: "users_sessions:S", topic: "room:7", assigns: %{n: 1}, ref: 7}
    assert %{id: @redacted, topic: "room:7", assigns: %{n: 1}, ref: %{kind: :left_out}} = echoed(socket)
  end

  test "what a process of OTP is begun with, of a function that is known" do
    Auth.login("ann", "S")

    for begin <- [
          fn -> :proc_lib.spawn(Auth, :login, ["ann", "correct-horse"]) end,
          fn -> spawn(Auth, :login, ["ann", "correct-horse"]) end,
          fn -> elem(Task.start(Auth, :login, ["ann", "correct-horse"]), 1) end
        ] do
      parent = self()

      starter =
        spawn(fn ->
          Auth.login("bob", "x") && send(parent, {:begun, begin.()}) && receive(do: (:go -> :ok))
        end)

      assert_receive {:begun, pid}
      monitor = Process.monitor(pid)
      assert_receive {:DOWN, ^monitor, :process, ^pid, _}
      send(starter, :go)
      events = Enum.to_list(ElixirScope.events(pid: [starter, pid]))
      assert Enum.any?(events, &(&1.kind in [:spawn, :spawned]))
      for event <- events, do: refute(inspect(event.data, limit: :infinity) =~ "horse", inspect(event))
      assert Enum.any?(events, &(&1.kind == :spawn and Term.mentions?(&1.data, @redacted)))
    end
  end

  test "what servers are begun with, the first ones too", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, pack: false, watch: :instrumented)
    secrets = :ets.new(:secrets, [:public])

    inside(fn ->
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      Echo.echo("open")
      text = &text(secrets, &1)

      begun(
        GenServer: &GenServer.start_link(Keyed, text.(&1)),
        "a GenServer with a name": &GenServer.start_link(Keyed, text.(&1), name: Keyed.Named),
        "a GenServer, by its start_link": &Keyed.start_link(text.(&1)),
        "a GenServer without a link": &GenServer.start(Keyed, [text.(&1)]),
        "one that is not instrumented": &GenServer.start_link(Unknown, text.(&1))
      )

      begun(gen_statem: &Machine.start_link(text.(&1)))
      begun("a supervisor with a module": &Supervisor.start_link(Tree, [text.(&1)]))
      begun("a dynamic supervisor with a module": &DynamicSupervisor.start_link(Growing, [text.(&1)]))
      begun(Agent: &keyed_agent(text.(&1)))
      Auth.login("ann", "x")
      begun("a task, later": &Task.start_link(Auth, :login, ["ann", text.(&1)]))
    end)

    search(recording, secrets, "open")
    kinds = for %{kind: kind} <- ElixirScope.events(), uniq: true, do: kind
    assert :spawn in kinds and :spawned in kinds

    for module <- [Keyed, Machine, Tree, Growing, Unknown],
        do: assert([@redacted, @redacted, @redacted | _] = begun_with(module))
  end

  test "what children of a supervisor are begun with, where child_spec/1 says how", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, pack: false, watch: :instrumented)
    secrets = :ets.new(:secrets, [:public])

    inside(fn ->
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      Echo.echo("open")
      text = &text(secrets, &1)
      start = &Supervisor.start_link([{Supervised, text.(&1)}], strategy: :one_for_one)
      begun("a child in a list": start)
      {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
      {:ok, _} = DynamicSupervisor.start_child(supervisor, {Supervised, text.("a child of a dynamic one")})
      DynamicSupervisor.stop(supervisor)
    end)

    search(recording, secrets, "open")
    assert [%{args: [@redacted]} | _] = ElixirScope.calls(&Supervised.child_spec/1)
    # The rest of the child is there.
    spec = %{start: {Supervised, :start_link, [@redacted]}}
    assert [{:ok, {%{strategy: :one_for_one}, [child]}} | _] = begun_with(Supervisor.Default)
    assert Map.take(child, [:start]) == spec
  end

  test "what a server is begun with is there once its init/1 is known to call it no secret" do
    inside(fn ->
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      begun(Open: fn _ -> GenServer.start_link(Open, "open") end)
      begun("by an atom": fn _ -> GenServer.start_link(Open, :open) end)
      begun("not known": fn _ -> GenServer.start_link(Unknown, "open") end)
    end)

    assert begun_with(Open) == [@redacted, "open", "open", :open, :open, :open]
    assert begun_with(Unknown) == [@redacted, @redacted, @redacted]
  end

  defp inside(fun), do: fun |> Task.async() |> Task.await(60_000)

  defp keyed_agent(text), do: Agent.start_link(fn -> %{api_key: text} end)

  test "arguments of functions that the compiler makes of default arguments" do
    Auth.sign_in("ann", "S")
    Auth.sign_in("ann")
    Auth.reset("S", "ann")
    assert [%{args: ["ann", @redacted]}] = ElixirScope.calls(&Auth.sign_in/2)
    assert [%{args: ["ann"]}] = ElixirScope.calls(&Auth.sign_in/1)
    assert [_, %{args: ["ann", @redacted, []]}] = ElixirScope.calls(&Auth.sign_in/3)
    assert [%{args: [@redacted, "ann"]}] = ElixirScope.calls(&Auth.reset/2)
  end

  test "variables that a pattern finds under the key of a secret" do
    Auth.matched("ann", %{password: "S", name: "bob"})
    assert %{p: @redacted, n: "bob"} = Map.new(bound(:matched))
    Auth.options(token: "S", name: "bob")
    assert %{t: @redacted, n: "bob"} = Map.new(bound(:options))
    people = [%{ssn: 7, name: "cy"}]
    Auth.cased(%{"password" => "S", api_key: "S", credentials: %{inner: "S"}, people: people})

    assert %{from_text: @redacted, part: @redacted, k: @redacted, s: @redacted, n: "cy"} =
             Map.new(bound(:cased))

    assert [%{args: [%{name: "bob", password: @redacted}]}] =
             for(call <- ElixirScope.calls(&Auth.matched/2), do: %{call | args: tl(call.args)})
  end

  test "arguments in the stacks of lines of the log" do
    secret = "correct-horse"
    wide = %{wide: String.duplicate("wide", 30), token: nil, text: secret}
    check = fn -> apply(Auth, :check, ["ann", secret]) end
    {:ok, server} = GenServer.start(ElixirScope.Redacted.Session, %{user: "ann", token: "x"})

    pids = [
      server,
      spawn(fn -> check.() end),
      spawn(fn -> apply(Auth, :check, ["ann", [secret, wide]]) end),
      elem(Task.start(check), 1),
      elem(Task.start(Auth, :check, ["ann", secret]), 1),
      spawn(fn -> apply(Auth, :nobody, ["ann", secret]) end)
    ]

    # Of this one Elixir 1.15 and later say nothing.
    silent = :proc_lib.spawn(fn -> check.() end)
    monitors = for pid <- [silent | pids], do: Process.monitor(pid)
    catch_exit(GenServer.call(server, {:run, check}))
    for monitor <- monitors, do: assert_receive({:DOWN, ^monitor, :process, _, _})

    try do
      check.()
    rescue
      error ->
        Logger.error(Exception.format(:error, error, __STACKTRACE__))
        {blamed, stack} = Exception.blame(:error, error, __STACKTRACE__)
        Logger.error(Exception.format(:error, blamed, stack))
        Logger.error(inspect({error, __STACKTRACE__}))
        :logger.error("~p", [{error, __STACKTRACE__}])
        :logger.error("~10p", [{error, __STACKTRACE__}])
        :logger.error(%{what: {:function_clause, __STACKTRACE__}})
    end

    for pid <- pids, do: until(fn -> ElixirScope.logs(pid: pid) != [] end)

    for pid <- [silent | pids],
        log <- ElixirScope.logs(pid: pid),
        do: refute(log.message =~ "horse", log.message)

    own = ElixirScope.logs(pid: self())
    assert length(own) == 6

    for log <- own do
      refute log.message =~ "horse", log.message
      assert log.message =~ "..."
    end
  end

  # What it was given must stand in no closure, and in no mailbox of the test.
  defp text(secrets, what) do
    text = "S" <> Base.encode32(:crypto.strong_rand_bytes(15), padding: false)
    :ets.insert(secrets, {text, what})
    text
  end

  defp ended(pid) do
    monitor = Process.monitor(pid)
    assert_receive {:DOWN, ^monitor, :process, ^pid, _}
    pid
  end

  # All bytes of a recording, while it is made and when it is read, must hold `open`, and none of the secrets.
  defp search(recording, secrets, open) do
    raw =
      for file <- Path.wildcard(recording.path <> "/**"), File.regular?(file), do: {file, File.read!(file)}

    read =
      for event <- ElixirScope.events(),
          do: {"event #{event.id} #{event.kind}", :erlang.term_to_binary(event)}

    for found <- [raw, read], do: assert(Enum.any?(found, &holds?(&1, open)), "the search finds nothing")

    found =
      for bytes <- raw ++ read,
          {text, what} <- :ets.tab2list(secrets),
          holds?(bytes, text),
          do: {what, elem(bytes, 0)}

    assert found == []
  end

  defp holds?({_where, bytes}, text), do: :binary.match(bytes, text) != :nomatch

  test "secret fields of structs, in texts about these structs", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, pack: false, redact: [fields: [{Wide, :card}]])
    secrets = :ets.new(:secrets, [:public])
    text = &text(secrets, &1)

    for {name, struct} <- [
          {"by Recordable", &%Account{id: "open", iban: &1}},
          {"by fields:", &%Wide{id: "open", card: &1}},
          {"of an address", &%URI{userinfo: &1, authority: &1 <> "@example.org", host: "open"}}
        ],
        {form, make} <- [
          {"inspect", &inspect/1},
          {"inspect twice", &inspect(inspect(&1))},
          {"inspect in lines", &inspect(&1, pretty: true, width: 5)},
          {"inspect as a map", &inspect(&1, structs: false)},
          {"a set", &inspect(%{a: [{:ok, &1}]})},
          {"another inspect",
           &String.replace(inspect(&1), ["%", "{", "}"], fn sign ->
             %{"%" => "#", "{" => "<", "}" => ">"}[sign]
           end)},
          {"~p", &IO.chardata_to_string(:io_lib.format("~p", [&1]))},
          {"~10p", &IO.chardata_to_string(:io_lib.format("~10p", [&1]))},
          {"~w", &IO.chardata_to_string(:io_lib.format("~w", [&1]))},
          {"characters", &String.to_charlist(inspect(&1))},
          {"a function", &fn -> %{text: &1} end}
        ] do
      term = make.(struct.(text.("#{form} #{name}")))
      # Of `~w` the bytes are numbers.
      Echo.echo(term)
      Echo.echo(%{nested: [term]})
    end

    for {name, struct} <- [
          {"by Recordable", &%Account{id: "open", iban: &1}},
          {"by fields:", &%Wide{id: "open", card: &1}}
        ] do
      given = fn what -> struct.(text.("#{what} #{name}")) end
      Logger.error("a line #{inspect(given.("Logger"))}")
      Logger.error(%{c: given.("a report")})
      Logger.error([c: given.("a list")], c: given.("metadata"))
      :logger.error("~p", [given.("~p in a line")])

      ended(spawn(fn -> Map.fetch!(given.("Map.fetch!"), :none) end))
      ended(spawn(fn -> :erlang.error({:badmatch, given.("badmatch")}) end))
      ended(elem(Task.start(fn -> exit({:bad, given.("Task")}) end), 1))
      {:ok, server} = GenServer.start(Session, %{user: given.("a state"), token: "x"})
      GenServer.cast(server, given.("a message"))
      catch_exit(GenServer.call(server, {:run, fn -> raise(inspect(given.("a server"))) end}))
    end

    until(fn -> length(Enum.to_list(ElixirScope.logs(level: :error))) >= 16 end)
    search(recording, secrets, "open")
    assert echoed(inspect(%Account{id: 1, iban: "x"})) =~ "iban: \"[redacted]\""
    # Nothing else has that name.
    assert echoed(inspect(%{iban: "x"})) == "%{iban: \"x\"}"
    assert echoed(inspect(URI.parse("https://example.org/a"))) == inspect(URI.parse("https://example.org/a"))
  end

  test "what a function raises of which nothing is recorded, in lines of the log", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, pack: false, redact: [functions: [{Vault, :fail, 2}]])

    secrets = :ets.new(:secrets, [:public])
    text = &text(secrets, &1)

    pids =
      for how <- [:raise, :key, :error, :exit, :throw, :within, :clause] do
        {:ok, server} = GenServer.start(Session, %{user: "open", token: "x"})
        # A reason without a stack is what the callbacks behind it are given.
        what = if how in [:exit, :throw], do: :raise, else: how
        catch_exit(GenServer.call(server, {:run, fn -> Vault.fail(what, text.("#{what} in a server")) end}))

        try do
          Vault.fail(how, text.("#{how} that is caught"))
        catch
          kind, reason ->
            stack = __STACKTRACE__
            Logger.error(Exception.format(kind, reason, stack))
            Logger.error(inspect({reason, stack}))
            :logger.error("~p", [{reason, stack}])
            :logger.error("~10p", [{reason, stack}])
            Logger.error(Exception.format_banner(kind, reason), crash_reason: {reason, stack})
        end

        [
          ended(server),
          ended(spawn(fn -> Vault.fail(how, text.("#{how} in a process")) end)),
          ended(elem(Task.start(fn -> Vault.fail(how, text.("#{how} in a task")) end), 1)),
          ended(:proc_lib.spawn(fn -> Vault.fail(how, text.("#{how} in a process of proc_lib")) end))
        ]
      end

    clause = fn -> apply(Vault, :fail, [:none, text.("an argument")]) end
    last = ended(spawn(clause))
    for [server | _] <- pids, pid <- [server, last], do: until(fn -> ElixirScope.logs(pid: pid) != [] end)

    # Ordinary ones are as ever.
    Logger.error("#{inspect(&Vault.fail/2)} and ** (RuntimeError) open")
    open = ended(spawn(fn -> raise "open and shut" end))
    until(fn -> ElixirScope.logs(pid: open) != [] end)
    search(recording, secrets, "open")
    [%{message: message}] = ElixirScope.logs(pid: open)
    assert message =~ "open and shut"
    [server | _] = hd(pids)
    [%{message: message} | _] = ElixirScope.logs(pid: server)
    assert message =~ "** (RuntimeError) [redacted]\n" and message =~ "Vault.fail/2"
  end

  test "a reason beside a stack that names a function of which nothing is recorded" do
    {:ok, _} = ElixirScope.start(redact: [functions: [{Vault, :fail, 2}]])

    for {reason, recorded} <- [
          {{:bad, "S"}, [{Vault, :fail, 2, []}]},
          {%KeyError{key: "S"}, [{Enum, :map, 2, []}, {Vault, :"-fail/2-fun-3-", 1, [line: 1]}]},
          {%KeyError{key: "S"}, [{Vault, :fail, [@redacted, @redacted], []}]},
          {%KeyError{key: "S"}, [{Vault, :"-fail/2-fun-3-", [@redacted], [line: 1]}]}
        ] do
      # In the place of what is not recorded.
      given = for {module, function, args, place} <- recorded, do: {module, function, given(args), place}
      assert {:EXIT, _, {@redacted, ^recorded}} = echoed({:EXIT, self(), {reason, given}})
      assert {@redacted, ^recorded} = echoed({reason, given})
    end

    for stack <- [
          [{Vault, :fail, 3, []}],
          [{Vault, :"-fail/3-fun-2-", 2, []}],
          [{Vault, :"-fails/2-fun-2-", 2, []}],
          [],
          :fail
        ] do
      assert echoed({{:bad, "S"}, stack}) == {{:bad, "S"}, stack}
    end
  end

  defp given(args) when is_list(args), do: for(_ <- args, do: "S")
  defp given(arity), do: arity

  test "a line about a function of which nothing is recorded is kept where it has no reason" do
    {:ok, _} = ElixirScope.start(redact: [functions: [{Vault, :fail, 2}]])
    Logger.error("calling #{inspect(&Vault.fail/2)}: ok")
    Logger.error("** (E) shown\n    lib/a.ex:1: Vault.fails/2\n")
    Logger.error("** (E) S\n    lib/a.ex:1: #{inspect(Vault)}.fail/2\n")
    assert [one, two, three] = Enum.map(ElixirScope.logs(pid: self()), & &1.message)
    assert one =~ "Vault.fail/2: ok"
    assert two =~ "** (E) shown"
    assert three == "** (E) [redacted]\n    lib/a.ex:1: #{inspect(Vault)}.fail/2\n"
  end

  test "names beside characters that are in no name, and names with brackets and dots" do
    for {text, recorded} <- [
          {"\u00a0token=S", "\u00a0token=[redacted]"},
          {"\u201ctoken=S", "\u201ctoken=[redacted]"},
          {<<255, "token=S">>, <<255, "token=[redacted]">>},
          {"user[token][]=S&x=1", "user[token][]=[redacted]&x=1"},
          {"token[a]=S", "token[a]=[redacted]"}
        ] do
      assert echoed(text) == recorded
    end

    assert %{"user[token]" => @redacted, "auth.token" => @redacted, "Shop.Token" => 1, "token[]" => @redacted} =
             echoed(%{"user[token]" => "S", "auth.token" => "S", "Shop.Token" => 1, "token[]" => ["S"]})

    assert [{"user[token]", @redacted}, {Shop.Token, [a: 1]}] =
             echoed([{"user[token]", "S"}, {Shop.Token, a: 1}])
  end

  test "without redaction they are there" do
    {:ok, _} = ElixirScope.start(redact: false)
    Logger.error("** (E)\n    lib/a.ex:1: Auth.check(1)\n")
    assert [%{message: "** (E)\n    lib/a.ex:1: Auth.check(1)\n"}] = ElixirScope.logs(pid: self())
  end
end
