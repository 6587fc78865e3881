defmodule Demo.Order do
  @moduledoc """
  What a recording says about the order that a process worked on: the calls of its checkout.
  """

  alias ElixirScope.Call

  @enforce_keys [:pid, :number, :customer, :placed, :cart, :check, :payment, :take]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          pid: pid,
          number: pos_integer,
          customer: String.t(),
          placed: Call.t(),
          cart: {pid, state :: map},
          check: Call.t(),
          payment: Call.t(),
          take: Call.t()
        }

  @doc "The order of a process, as far as it had come at a time."
  @spec of(pid, ElixirScope.Query.Moment.t(), keyword) :: t
  def of(pid, time, options) do
    options = [pid: pid, until: time] ++ options
    [%Call{args: [number, customer]} = run] = ElixirScope.calls(&Shop.Checkout.run/2, options)
    [process] = Enum.to_list(ElixirScope.events([kind: :process] ++ options))

    %__MODULE__{
      pid: pid,
      number: number,
      customer: customer,
      placed: placed(hd(process.data.callers), run, options),
      cart: cart(customer, options),
      check: last_call(&Shop.Stock.in_stock?/1, options),
      payment: last_call(&Shop.Payment.charge/2, options),
      take: last_call(&Shop.Stock.take/1, options)
    }
  end

  # The call that started the task. A task knows its caller: the process that waits for it.
  defp placed(caller, run, options) do
    last_call(&Shop.order/1, Keyword.merge(options, pid: caller, until: run.started))
  end

  # Names of a Registry are not in the recording, but the call that began the cart is.
  defp cart(customer, options) do
    {time, options} = options |> Keyword.delete(:pid) |> Keyword.pop!(:until)
    opened = ElixirScope.calls(&Shop.Cart.init/1, [until: time] ++ options)
    %Call{pid: pid} = opened |> Enum.filter(&(&1.args == [customer])) |> List.last()
    {pid, ElixirScope.get_state_at!(pid, time, options)}
  end

  defp last_call(function, options), do: function |> ElixirScope.calls(options) |> List.last()
end
