# frozen_string_literal: true

Rails.application.routes.draw do
  root 'shop#index'
  get 'report', to: 'shop#report'
  get 'slow', to: 'shop#slow'

  resources :products, only: %i[index show]
  resources :orders, only: %i[index create]
end
