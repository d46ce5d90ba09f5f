-- W3C Trace Context Level 2 as a filter for Envoy's Lua: what one would write to continue every trace with a
-- parent-id of this hop. It validates what Tracewarden validates, starts a trace where none came or an invalid one
-- did, and counts nothing, because Envoy gives Lua no counters. EVERY_HEADER is set for a second version, which looks
-- at all headers, as such filters often do and as Tracewarden does.

local FLAGS = { [0] = "00", "01", "02", "03" }
local ZERO_TRACE, ZERO_SPAN = string.rep("0", 32), string.rep("0", 16)
local MEMBER = "^([a-z0-9][a-z0-9_%-%*/@]*)=([ -+--<>-~]+)$"
local MAX_MEMBERS, MAX_LENGTH = 32, 256

local find, format, gmatch, match, sub = string.find, string.format, string.gmatch, string.match, string.sub
local random = math.random

local seeded = false

local function seed(handle)
  local place = tonumber(match(tostring({}), "0x(%x+)"), 16)
  math.randomseed(handle:timestamp() % 2 ^ 31 + place % 2 ^ 31)
  seeded = true
end

local function span_id()
  local id
  repeat
    id = format("%08x%08x", random(0, 0xffffffff), random(0, 0xffffffff))
  until id ~= ZERO_SPAN
  return id
end

-- The trace-id and the flags of a valid value, or nothing.
local function parse(value)
  local version, trace_id, parent_id, flags, rest =
    match(value, "^[ \t]*([0-9a-f][0-9a-f])%-([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f][0-9a-f])(.*)$")
  if not version or version == "ff" or #trace_id ~= 32 or #parent_id ~= 16 then
    return nil
  end
  if trace_id == ZERO_TRACE or parent_id == ZERO_SPAN then
    return nil
  end
  if rest ~= "" and not find(rest, "^[ \t]*$") and (version == "00" or sub(rest, 1, 1) ~= "-") then
    return nil
  end
  return trace_id, bit.band(tonumber(flags, 16), 3)
end

-- The list without white space, empty members and duplicates, or nothing if a member is invalid or nothing is left.
local function tidy(value)
  local members, seen = {}, {}
  for text in gmatch(value, "[^,]+") do
    local member = match(text, "^[ \t]*(.-)[ \t]*$")
    if member ~= "" then
      local key, content = match(member, MEMBER)
      if not key or #key > MAX_LENGTH or #content > MAX_LENGTH then
        return nil
      end
      if not seen[key] then
        seen[key] = true
        members[#members + 1] = member
      end
    end
  end
  if #members == 0 or #members > MAX_MEMBERS then
    return nil
  end
  return table.concat(members, ",")
end

local function start(headers)
  headers:replace("traceparent", "00-" .. span_id() .. span_id() .. "-" .. span_id() .. "-03")
  headers:remove("tracestate")
end

local function continue(headers, trace_id, flags)
  headers:replace("traceparent", "00-" .. trace_id .. "-" .. span_id() .. "-" .. FLAGS[flags])
  local state = headers:get("tracestate")
  if state then
    local tidied = tidy(state)
    if not tidied then
      headers:remove("tracestate")
    elseif tidied ~= state or headers:getNumValues("tracestate") > 1 then
      headers:replace("tracestate", tidied)
    end
  end
end

-- Several lines come joined by commas, which no valid value has.
local function lines(headers)
  if not EVERY_HEADER then
    return headers:get("traceparent")
  end
  local found
  for name, value in pairs(headers) do
    if name == "traceparent" then
      found = found and found .. "," .. value or value
    end
  end
  return found
end

function envoy_on_request(handle)
  if not seeded then
    seed(handle)
  end
  local headers = handle:headers()
  local value = lines(headers)
  local trace_id, flags
  if value then
    trace_id, flags = parse(value)
  end
  if trace_id then
    continue(headers, trace_id, flags)
  else
    start(headers)
  end
end
