# frozen_string_literal: true

# Orders, which Sidekiq ships: POST /orders?product=2
class OrdersController < ActionController::API
  # How many orders there were, and how many of them Sidekiq has shipped.
  def index
    render json: { placed: Order.placed, shipped: Order.shipped }
  end

  def create
    product = Product.find(params.fetch(:product, 1))
    return head(422) unless product

    render json: { order: Order.place(product) }, status: :accepted
  end
end
