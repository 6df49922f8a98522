# frozen_string_literal: true

Product = Struct.new(:id, :name, :price, keyword_init: true) do
  def self.all
    self::ALL
  end

  def self.find(id)
    all.find { |product| product.id == id.to_i }
  end
end

Product::ALL = [
  Product.new(id: 1, name: 'Teapot', price: 42),
  Product.new(id: 2, name: 'Cup', price: 12),
  Product.new(id: 3, name: 'Saucer', price: 7)
].freeze
