# frozen_string_literal: true

# What the shop sells.
class ProductsController < ActionController::API
  def index
    render json: Product.all.map(&:to_h)
  end

  def show
    product = Product.find(params[:id])
    product ? render(json: product.to_h) : head(:not_found)
  end
end
