# A small shop behind OTP's own HTTP server: products in ETS, a cart for each user in a GenServer under a Registry, counts
# in another one, pages made of iodata. The same code is compiled as SCOPE_SERVICE says: plain, or with `use ElixirScope`.
# The server, the registry and the standard library stand for a framework: they are never instrumented.

defmodule Shop do
  @moduledoc false

  defmacro __using__(_options) do
    case System.get_env("SCOPE_SERVICE") do
      "plain" -> nil
      "bare" -> quote(do: use(ElixirScope, args: false, returns: false, state: false))
      "full" -> quote(do: use(ElixirScope, locals: true))
      _ -> quote(do: use(ElixirScope))
    end
  end
end

defmodule Shop.Catalog do
  @moduledoc false
  use Shop

  @products 1_000

  def fill do
    :ets.new(__MODULE__, [:named_table, :public, read_concurrency: true])

    for id <- 1..@products do
      product = %{id: id, name: "Article <#{id}> & Sons", price: id * 37, tags: [:new, :stock], stock: id}
      :ets.insert(__MODULE__, {id, product})
    end
  end

  def fetch(id) do
    case :ets.lookup(__MODULE__, id) do
      [{^id, product}] -> {:ok, product}
      [] -> {:error, :unknown}
    end
  end

  def related(product), do: for(step <- 1..5, do: related(product, step))

  defp related(product, step) do
    {:ok, other} = fetch(rem(product.id + step * 17, @products) + 1)
    other
  end
end

defmodule Shop.Cart do
  @moduledoc false
  use GenServer
  use Shop

  def ensure(user) do
    case GenServer.start(__MODULE__, user, name: name(user)) do
      {:ok, _cart} -> :ok
      {:error, {:already_started, _cart}} -> :ok
    end
  end

  def add(user, product), do: GenServer.call(name(user), {:add, product})
  def show(user), do: GenServer.call(name(user), :show)

  defp name(user), do: {:via, Registry, {Shop.Registry, user}}

  @impl true
  def init(user), do: {:ok, %{user: user, items: %{}, total: 0}}

  @impl true
  def handle_call({:add, product}, _from, cart) do
    # A cart is emptied when it is full, so that every round finds the same work.
    cart = if map_size(cart.items) >= 20, do: %{cart | items: %{}, total: 0}, else: cart

    items =
      Map.update(cart.items, product.id, {1, product.price}, fn {count, price} -> {count + 1, price} end)

    {:reply, map_size(items), %{cart | items: items, total: total(items)}}
  end

  def handle_call(:show, _from, cart), do: {:reply, {Map.to_list(cart.items), cart.total}, cart}

  defp total(items),
    do: items |> Map.values() |> Enum.reduce(0, fn {count, price}, sum -> sum + count * price end)
end

defmodule Shop.Counts do
  @moduledoc false
  use GenServer
  use Shop

  def start_link, do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)
  def seen(page), do: GenServer.cast(__MODULE__, {:seen, page})

  @impl true
  def init(nil), do: {:ok, %{}}

  @impl true
  def handle_cast({:seen, page}, counts), do: {:noreply, Map.update(counts, page, 1, &(&1 + 1))}
end

defmodule Shop.Page do
  @moduledoc false
  use Shop

  def product(product, related) do
    page(escape(product.name), [
      ["<p>", money(product.price), "</p><ul>"],
      for(tag <- product.tags, do: ["<li>", Atom.to_string(tag), "</li>"]),
      "</ul>",
      for(other <- related, do: link(other))
    ])
  end

  def cart(items, total) do
    rows = for {id, {count, price}} <- items, do: row(id, count, price)
    page("Your cart", ["<table>", rows, "</table><b>", money(total), "</b>"])
  end

  def added(count), do: page("Added", ["Now ", Integer.to_string(count), " articles"])
  def missing, do: page("Not found", "There is nothing here")

  defp page(title, body) do
    [
      "<!doctype html><html><head><title>",
      title,
      "</title></head><body><h1>",
      title,
      "</h1>",
      body,
      "</body></html>"
    ]
  end

  defp link(product) do
    [
      "<a href=\"/product/",
      Integer.to_string(product.id),
      "\">",
      escape(product.name),
      " ",
      money(product.price),
      "</a>"
    ]
  end

  defp row(id, count, price) do
    [
      "<tr><td>",
      Integer.to_string(id),
      "</td><td>",
      Integer.to_string(count),
      "</td><td>",
      money(count * price),
      "</td></tr>"
    ]
  end

  defp money(cents) do
    [
      Integer.to_string(div(cents, 100)),
      ".",
      cents |> rem(100) |> Integer.to_string() |> String.pad_leading(2, "0")
    ]
  end

  defp escape(text), do: text |> String.replace("&", "&amp;") |> String.replace("<", "&lt;")
end

defmodule Shop.Web do
  @moduledoc false
  use Shop

  alias Shop.{Cart, Catalog, Counts, Page}

  # What `:httpd` calls; its record is of inets/include/httpd.hrl, which not every system has.
  def unquote(:do)(request) do
    [method, uri] = for at <- [6, 8], do: request |> elem(at) |> List.to_string()
    {code, page} = answer(method, String.split(uri, "/", trim: true))
    length = page |> IO.iodata_length() |> Integer.to_charlist()
    head = [code: code, content_type: ~c"text/html", content_length: length]
    {:proceed, [response: {:response, head, [page]}]}
  end

  defp answer("GET", ["product", id]) do
    with {id, ""} <- Integer.parse(id), {:ok, product} <- Catalog.fetch(id) do
      Counts.seen(:product)
      {200, Page.product(product, Catalog.related(product))}
    else
      _ -> {404, Page.missing()}
    end
  end

  defp answer("GET", ["cart", user]) do
    Counts.seen(:cart)
    {items, total} = Cart.show(user)
    {200, Page.cart(items, total)}
  end

  defp answer("POST", ["cart", user, id]) do
    {:ok, product} = Catalog.fetch(String.to_integer(id))
    Counts.seen(:add)
    {200, Page.added(Cart.add(user, product))}
  end

  defp answer(_method, _path), do: {404, Page.missing()}
end
