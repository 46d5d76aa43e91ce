environment "e${1}" {}
