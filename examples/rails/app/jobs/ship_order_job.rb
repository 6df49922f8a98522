# frozen_string_literal: true

# Packs one order and ships it.
class ShipOrderJob
  include Sidekiq::Job

  sidekiq_options queue: 'orders'

  def perform(number, product_id)
    logger.info("Order #{number}: packing #{Product.find(product_id).name}")
    sleep 0.02
    Order.ship
  end
end
