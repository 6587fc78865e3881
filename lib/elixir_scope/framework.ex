defmodule ElixirScope.Framework do
  @moduledoc """
  What ElixirScope knows of a framework, found through its events of `:telemetry`: which ones it emits, what of them is worth
  keeping, and what they mean. Those of Phoenix, Ecto and others are part of ElixirScope (`docs/frameworks.md`). One of your own is a module with these three
  functions, named where a recording is configured:

      config :elixir_scope, telemetry: [Shop.ScopeBilling]

      defmodule Shop.ScopeBilling do
        @behaviour ElixirScope.Framework

        @impl true
        def events, do: [[:billing, :charge, :start], [:billing, :charge, :stop], [:billing, :charge, :exception]]

        @impl true
        def keep(_name, measurements, metadata, _options), do: {measurements, Map.take(metadata, [:customer, :cents, :result])}

        @impl true
        def span([:billing, :charge], metadata, _measurements),
          do: %{kind: :charge, name: "charge \#{metadata.customer}", outcome: metadata[:result], attributes: [cents: metadata.cents]}
      end

  An event whose name ends in `:start` begins a span, one that ends in `:stop` or `:exception` ends it; any other is a span of
  its own, as long as its measurement `:duration` says.
  """

  @typedoc "The name of an event."
  @type name :: [atom, ...]

  @typedoc """
  What a span means. `into` is the kind of a span around it of which this one is a part: where there is one, the
  attributes (and `name` and `outcome`, unless they are `nil`) go there, and this one is not told by itself.
  """
  @type meaning :: %{
          required(:kind) => atom,
          required(:name) => String.t() | nil,
          optional(:outcome) => term,
          optional(:attributes) => keyword,
          optional(:into) => atom
        }

  @doc "The names of the events that it emits."
  @callback events() :: [name]

  @doc """
  Measurements and metadata as they are recorded, or `:skip`. It runs in the process that emits the event, each time, so it takes
  out what is worth keeping and does no more. `options` are those that the configuration gives.

  `{:attach, names}` records nothing, and the events of these names from then on.
  """
  @callback keep(name, measurements :: map, metadata :: map, options :: keyword) ::
              {map, map} | {:attach, [name]} | :skip

  @doc """
  What a span means: `name` is that of its events without `:start` or `:stop`, metadata and measurements are those of its
  beginning and its end, merged, as they were kept. It runs when the recording is asked.
  """
  @callback span(name, metadata :: map, measurements :: map) :: meaning
end
