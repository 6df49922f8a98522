# frozen_string_literal: true

# What is neither a product nor an order.
class ShopController < ActionController::API
  LONGEST_SLEEP = 10 # seconds

  def index
    render json: { shop: 'open', worker: Process.pid }
  end

  # Keeps a processor busy for some milliseconds.
  def report
    render json: { takings: Product.all.to_h { |product| [product.name, takings(product)] } }
  end

  # Keeps a thread busy, but no processor: /slow?seconds=2
  def slow
    seconds = params.fetch(:seconds, 1).to_f.clamp(0, LONGEST_SLEEP)
    sleep seconds
    render json: { slept: seconds }
  end

  private

  def takings(product)
    random = Random.new(product.id)
    Array.new(20_000) { product.price * random.rand(1..9) }.sort.sum
  end
end
