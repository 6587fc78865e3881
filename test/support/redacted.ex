defmodule ElixirScope.Redacted do
  @moduledoc false
  # A program that handles secrets in every way in which a program may. The secrets are given to it: none stands in its source.

  defmodule Account do
    @moduledoc false
    @derive {ElixirScope.Recordable, except: [:history, :cache], secret: [:iban]}
    defstruct [:id, :iban, :mail, history: [], cache: %{}]
  end

  defmodule Wide do
    @moduledoc false
    defstruct [:id, :card, :kept, :huge]
  end

  defmodule Refused do
    @moduledoc false
    defexception [:message, :token, :user]
  end

  defmodule Plain do
    @moduledoc false
    # Not instrumented.
    # A process that has set its flag before it runs instrumented code.
    def keep do
      spawn(fn ->
        Process.flag(:sensitive, true)
        ElixirScope.Redacted.Keeper.loop([])
      end)
    end
  end

  defmodule Login do
    @moduledoc false
    use ElixirScope, locals: true

    def login(user, password), do: {:ok, user, byte_size(password)}
    def whole(user, %{} = credentials), do: {user, map_size(credentials)}
    def bearer("Bearer " <> token, user), do: {user, byte_size(token)}
    def tagged({:login, user, _password}), do: user

    def returned(user, value), do: granted(user, [value])
    defp granted(user, [value]), do: {:ok, %{user: user, token: value, list: [api_key: value]}}

    def bound(user, source) do
      password = source.()
      secret_key = password <> "!"
      %{note: note} = %{note: user, size: byte_size(secret_key)}
      {note, byte_size(secret_key)}
    end

    def echo(term), do: {:echo, term}
    def account(%Account{} = account), do: %{account | history: [account.id | account.history]}

    def atoms_only(user, password) when is_atom(password), do: user

    def refuse(user, why) do
      raise Refused, message: why.text, token: why.token, user: user
    end

    def vault(user, combination) when is_list(combination), do: for(digit <- combination, do: {digit, user})

    def anonymous(user) do
      fn password -> {user, byte_size(password)} end
    end

    def build_api_key(source), do: source.()
    def issue_token(user, source), do: {:ok, source.(), %{user: user}}
    def fetch_token!(user, source), do: {source.(), user}
    def hash_password(source), do: Enum.map_join([1], fn _ -> source.() end)
    def update_user_password(term), do: term

    def send_to(pid, message), do: send(pid, message)

    def take(tag) do
      receive do
        {^tag, _credentials} -> tag
      end
    end
  end

  defmodule Session do
    @moduledoc false
    # A server that holds secrets.
    use GenServer
    use ElixirScope, locals: true

    def start_link(user, token), do: GenServer.start_link(__MODULE__, %{user: user, token: token})

    @impl true
    def init(%{user: user, token: token}),
      do: {:ok, %{user: user, token: token, keys: [], seen: 0, headers: []}}

    @impl true
    def handle_call({:rotate, %{token: token}}, _from, state), do: {:reply, :ok, %{state | token: token}}

    def handle_call({:add, key}, _from, state) do
      {:reply, :ok, %{state | keys: [{:api_key, key} | state.keys], seen: state.seen + 1}}
    end

    def handle_call({:headers, headers}, _from, state), do: {:reply, :ok, %{state | headers: headers}}
    def handle_call(:seen, _from, state), do: {:reply, state.seen, %{state | seen: state.seen + 1}}
    def handle_call({:run, fun}, _from, state), do: {:reply, fun.(), state}

    @impl true
    def handle_cast(message, state), do: {:noreply, Map.put(state, :last, message)}

    @impl true
    def handle_info(message, state), do: {:noreply, Map.put(state, :last, message)}
  end

  defmodule Keeper do
    @moduledoc false
    # A process that asks not to be looked at.
    use ElixirScope, locals: true

    def start(:at_once), do: spawn(__MODULE__, :init, [])
    def start(:before), do: ElixirScope.Redacted.Plain.keep()

    def init do
      Process.flag(:sensitive, true)
      loop([])
    end

    def loop(kept) do
      receive do
        {:keep, term, from} ->
          send(from, {self(), length(kept)})
          loop(remember(term, kept))

        {:open, from} ->
          Process.flag(:sensitive, false)
          send(from, {self(), :open})
          loop([])

        {:echo, term, from} ->
          send(from, {self(), said(term)})
          loop(kept)

        {:done, from} ->
          send(from, {self(), :done})
      end
    end

    def remember(term, kept), do: [term | kept]
    def said(term), do: term
  end
end
