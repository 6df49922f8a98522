# frozen_string_literal: true

# Orders are but numbers, counted in Redis.
module Order
  PLACED = 'shop:orders:placed'
  SHIPPED = 'shop:orders:shipped'

  # Returns the order's number.
  def self.place(product)
    number = Sidekiq.redis { |redis| redis.incr(PLACED) }
    ShipOrderJob.perform_async(number, product.id)
    Shop::Metrics::LAST_ORDER.set({}, Time.now.to_f)
    number
  end

  def self.ship
    Sidekiq.redis { |redis| redis.incr(SHIPPED) }
  end

  def self.placed
    Sidekiq.redis { |redis| redis.get(PLACED) }.to_i
  end

  def self.shipped
    Sidekiq.redis { |redis| redis.get(SHIPPED) }.to_i
  end
end
