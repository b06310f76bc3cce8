-- The health of a MailRelay, from its conditions. It agrees with kstatus, by which Flux and Helm judge, but that a paused
-- MailRelay is Suspended. What is wrong beside the mail flow is in the message of one that is Healthy.
local health = {}
local metadata = obj.metadata or {}
local status = obj.status or {}

local annotations = metadata.annotations or {}
local paused = string.lower(annotations["mailrelay.dev/paused"] or ""):match("^%s*(.-)%s*$")
local notPaused = { [""] = true, ["false"] = true, no = true, n = true, off = true, ["0"] = true }
if not notPaused[paused] then
  health.status = "Suspended"
  health.message = "Paused by the annotation mailrelay.dev/paused"
  return health
end

if status.observedGeneration == nil or status.observedGeneration ~= metadata.generation then
  health.status = "Progressing"
  health.message = "Waiting for the operator to look at this generation"
  return health
end

-- Of Reconciling and Stalled the first one in the list decides.
local conditions, deciding = {}, nil
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
  local decides = condition.type == "Reconciling" or condition.type == "Stalled"
  if deciding == nil and decides and condition.status == "True" then
    deciding = condition
  end
end

local function text(condition)
  return (condition.reason or condition.type) .. ": " .. (condition.message or "")
end

if deciding ~= nil then
  health.status = deciding.type == "Stalled" and "Degraded" or "Progressing"
  health.message = text(deciding)
  return health
end
local ready = conditions.Ready
if ready == nil or ready.status ~= "True" then
  health.status = "Progressing"
  health.message = ready ~= nil and text(ready) or "Waiting for the operator to say whether mail flows"
  return health
end

local parts = { text(ready) }
for _, name in ipairs({ "CertificateReady", "PolicyApplied", "QueueHealthy", "ConfigurationSound" }) do
  local condition = conditions[name]
  if condition ~= nil and condition.status == "False" then
    table.insert(parts, text(condition))
  end
end
health.status = "Healthy"
health.message = table.concat(parts, "; ")
return health
