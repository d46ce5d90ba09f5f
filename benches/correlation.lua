-- Each request brings a trace and an x-request-id of its own.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init()
  math.randomseed(seed)
end

local function hex(digits)
  local text = ""
  while #text < digits do
    text = text .. string.format("%06x", math.random(0, 0xffffff))
  end
  return text:sub(1, digits)
end

function request()
  local uuid = string.format("%s-%s-4%s-a%s-%s", hex(8), hex(4), hex(3), hex(3), hex(12))
  return wrk.format("GET", "/", {
    ["host"] = "shop.example",
    ["x-request-id"] = uuid,
    ["traceparent"] = "00-" .. hex(32) .. "-" .. hex(16) .. "-01",
  })
end
