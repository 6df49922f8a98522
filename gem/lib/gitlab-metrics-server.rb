# frozen_string_literal: true

# What Bundler requires.
require 'metrics_server'
