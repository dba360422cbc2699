-- ARGV: prefix, format, token, milliseconds.
local no = refused(ARGV[3])
if no then return no end
stay(ARGV[4])
return 1
